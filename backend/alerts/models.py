"""Rules, the alerts that they opened, and the messages that were sent about them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from backend.devices.models import Device, Profile, Status
from backend.telemetry.models import Series


class ChannelKind(models.TextChoices):
    """How a message travels."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class Channel(models.Model):
    """Somewhere to send messages to. Shared by rules; only administrators see addresses and set secrets."""

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=ChannelKind.choices)
    # e-mail: addresses, one a line; webhook: the URL
    target = models.TextField()
    # of a webhook: the key of its signatures. It is needed in clear to sign, and shown to nobody
    secret = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """By name; a webhook has a secret."""

        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name="") & ~Q(target=""), name="alerts_channel_given"),
            models.CheckConstraint(condition=Q(kind__in=ChannelKind.values), name="alerts_channel_kind_known"),
            models.CheckConstraint(condition=~Q(kind="webhook") | ~Q(secret=""), name="alerts_channel_webhook_signed"),
        ]

    def __str__(self) -> str:
        """The name."""
        return self.name


class Kind(models.TextChoices):
    """What a rule looks at."""

    THRESHOLD = "threshold", "Value above or below a limit"
    NO_DATA = "no_data", "No data"
    STATUS = "status", "Device status"


class Severity(models.TextChoices):
    """How bad it is."""

    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class Scope(models.TextChoices):
    """Which devices a rule is about."""

    ALL = "all", "All devices"
    PROFILE = "profile", "Those of a profile"
    ENDPOINTS = "endpoints", "Those with these endpoints"


class Comparison(models.TextChoices):
    """On which side of the limit a value is bad."""

    ABOVE = "above", "above"
    BELOW = "below", "below"


STATUSES = (Status.OFFLINE, Status.ASLEEP, Status.BLOCKED)


class Rule(models.Model):
    """When somebody wants to know."""

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    scope = models.CharField(max_length=9, choices=Scope.choices, default=Scope.ALL)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    # names or patterns with `*` and `?`, as in profile rules
    endpoints = models.JSONField(default=list, blank=True)
    kind = models.CharField(max_length=9, choices=Kind.choices)
    # of a series, `*` as instance for every one; "" for a status
    path = models.CharField(max_length=32, blank=True)
    comparison = models.CharField(max_length=5, choices=Comparison.choices, blank=True)
    limit = models.FloatField(null=True, blank=True)
    # at which value it is over
    clear_limit = models.FloatField(null=True, blank=True)
    # how long the value must have been bad, by the time of the samples
    for_seconds = models.PositiveIntegerField(default=0)
    # of no data and of a status
    minutes = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=[(one.value, one.label) for one in STATUSES], blank=True)
    channels = models.ManyToManyField(Channel, blank=True, related_name="rules")
    # changed since it was last applied to what there is: the next evaluation does that. Devices up to this id are done
    fresh = models.BooleanField(default=True)
    applied_to = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        """By name; every kind has what it needs, and hysteresis lies on the good side of the limit."""

        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="alerts_rule_named"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alerts_rule_severity_known"),
            models.CheckConstraint(
                condition=Q(scope="all") | Q(scope="endpoints") | Q(scope="profile", profile__isnull=False),
                name="alerts_rule_scope",
            ),
            models.CheckConstraint(
                condition=(
                    (Q(kind="threshold", limit__isnull=False, clear_limit__isnull=False) & ~Q(path=""))
                    | (Q(kind="no_data", minutes__gte=1) & ~Q(path=""))
                    | Q(kind="status", path="", status__in=[one.value for one in STATUSES], minutes__isnull=False)
                ),
                name="alerts_rule_complete",
            ),
            models.CheckConstraint(
                condition=~Q(kind="threshold")
                | Q(comparison="above", clear_limit__lte=F("limit"))
                | Q(comparison="below", clear_limit__gte=F("limit")),
                name="alerts_rule_hysteresis",
            ),
        ]

    def __str__(self) -> str:
        """The name."""
        return self.name


class Cursor(models.Model):
    """Up to where the samples of a watched series were looked at. Times are microseconds since 1970 (UTC).

    `time` and `seq` are the newest sample's, by its own time but never later than its receive time: a clock that ran
    ahead once mutes nothing.
    """

    series = models.OneToOneField(Series, on_delete=models.CASCADE, primary_key=True, related_name="alert_cursor")
    time = models.BigIntegerField()
    seq = models.SmallIntegerField(default=-1)
    # the last receive time of such a sample
    received = models.BigIntegerField()
    # up to which receive time those were looked at whose time cannot be right (far ahead, or behind all others)
    strange = models.BigIntegerField(default=0)
    # the latest time that any sample claimed
    ahead = models.BigIntegerField(default=0)
    # when any sample was received last
    heard = models.BigIntegerField()

    def __str__(self) -> str:
        """Series and time."""
        return f"{self.series_id} {self.time}"


class Pending(models.Model):
    """A value that is beyond the limit, but not for long enough yet."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    # microseconds since 1970 (UTC)
    since = models.BigIntegerField()

    class Meta:
        """Once per rule and series."""

        constraints = [models.UniqueConstraint(fields=["rule", "series"], name="alerts_pending_once")]

    def __str__(self) -> str:
        """Rule and series."""
        return f"{self.rule_id} {self.series_id}"


class Alert(models.Model):
    """Something was wrong with a device from `opened_at` to `cleared_at`. Kept when its rule is gone."""

    rule = models.ForeignKey(Rule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    # as the rule said when it opened
    rule_name = models.CharField(max_length=100)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    kind = models.CharField(max_length=9, choices=Kind.choices)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="alerts")
    # "" for a status
    path = models.CharField(max_length=32, blank=True)
    # when it began to be so, by the time of the sample; and when that was noticed
    opened_at = models.DateTimeField()
    noticed_at = models.DateTimeField()
    # the value that opened it, and one plain sentence
    value = models.FloatField(null=True)
    text = models.TextField()
    last_value = models.FloatField(null=True)
    last_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_text = models.TextField(blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True)
    # changed by a page: `sync` has to tell the other pages
    untold = models.BooleanField(default=False)

    class Meta:
        """Newest first; one open at a time for a rule, a device and a path."""

        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "device", "path"], condition=Q(cleared_at__isnull=True), name="alerts_alert_one_open"
            ),
            models.CheckConstraint(
                condition=Q(cleared_at__isnull=True) | ~Q(cleared_text=""), name="alerts_alert_cleared_has_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["device", "-opened_at"], name="alerts_alert_device"),
            models.Index(
                fields=["acknowledged_at", "severity"],
                condition=Q(cleared_at__isnull=True),
                name="alerts_alert_open",
            ),
            models.Index(fields=["id"], condition=Q(untold=True), name="alerts_alert_untold"),
        ]

    def __str__(self) -> str:
        """What is wrong."""
        return f"{self.rule_name}: {self.text}"


class Event(models.TextChoices):
    """What a message is about."""

    OPENED = "alert.opened", "Opened"
    CLEARED = "alert.cleared", "Cleared"
    TEST = "test", "Test"


class DeliveryState(models.TextChoices):
    """How far a message has come."""

    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Given up"


class Delivery(models.Model):
    """One message to one channel. Made in the transaction that opened or cleared the alert, sent afterwards."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    # null: a test
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, null=True, related_name="deliveries")
    event = models.CharField(max_length=16, choices=Event.choices)
    # the same at every attempt: a receiver that has seen it drops the message
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    # the message as JSON, exactly as a webhook gets it
    body = models.TextField()
    state = models.CharField(max_length=8, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    # somebody is at it until then
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(null=True, blank=True)
    # of the last attempt, in words
    result = models.TextField(blank=True)

    class Meta:
        """Newest first."""

        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", ended_at__isnull=True) | (~Q(state="waiting") & Q(ended_at__isnull=False)),
                name="alerts_delivery_ended",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="alerts_delivery_due")]

    def __str__(self) -> str:
        """Event and channel."""
        return f"{self.event} {self.channel_id} {self.state}"


class DeliveryAttempt(models.Model):
    """One try to deliver."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    seconds = models.FloatField()
    succeeded = models.BooleanField()
    # what the other side said, in words
    text = models.TextField()

    class Meta:
        """In order."""

        ordering = ["id"]

    def __str__(self) -> str:
        """What came of it."""
        return self.text
