"""The Leshan servers that devices come through, and how well we hear them."""

from django.db import models
from django.db.models import F, Q


class LeshanServer(models.Model):
    """One Leshan server and where `sync` stands in its event stream. Only `sync` writes it."""

    name = models.CharField(max_length=64, unique=True)
    url = models.CharField(max_length=255)
    # the stream: `<journal>-<sequence>` of the last event stored, committed with that event's data
    last_event_id = models.CharField(max_length=64, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    # the newest id that the server has told of: the distance to last_event_id is how far behind we are
    head_event_id = models.CharField(max_length=64, blank=True)
    connected_since = models.DateTimeField(null=True, blank=True)
    # when the stream last showed a sign of life (an event or an idle comment)
    heard_at = models.DateTimeField(null=True, blank=True)
    # when the sync process last said that it runs, connected or not
    sync_alive_at = models.DateTimeField(null=True, blank=True)
    sync_started_at = models.DateTimeField(null=True, blank=True)
    # age of the newest stored event at its commit
    lag_ms = models.PositiveIntegerField(default=0)
    events_stored = models.PositiveBigIntegerField(default=0)
    values_stored = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    # in words for people: what is wrong now and what to do; empty when all is well
    error = models.TextField(blank=True)
    error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Order."""

        ordering = ["name"]

    def __str__(self) -> str:
        """The server's name."""
        return self.name


class ServerInterval(models.Model):
    """A stretch of time in which the event stream was up or down; the newest one has no end."""

    class State(models.TextChoices):
        """Was the event stream connected?"""

        UP = "up", "Up"
        DOWN = "down", "Down"

    server = models.ForeignKey(LeshanServer, on_delete=models.CASCADE, related_name="intervals")
    state = models.CharField(max_length=4, choices=State.choices)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        """At most one open interval per server."""

        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["server"], condition=Q(ended_at__isnull=True), name="devices_interval_one_open"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="devices_interval_forward",
            ),
        ]

    def __str__(self) -> str:
        """State and start."""
        return f"{self.server_id} {self.state} since {self.started_at:%Y-%m-%d %H:%M:%S}"


class StreamGap(models.Model):
    """Events that can never be had again, as the server's GAP event tells."""

    server = models.ForeignKey(LeshanServer, on_delete=models.CASCADE, related_name="gaps")
    journal = models.CharField(max_length=48, blank=True)
    first_sequence = models.BigIntegerField(null=True, blank=True)
    last_sequence = models.BigIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=32)
    # the time that the gap spans as far as known: last event stored before it, and when we learned of it
    since = models.DateTimeField(null=True, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        """Newest first."""

        ordering = ["-recorded_at", "-id"]

    def __str__(self) -> str:
        """Reason and range."""
        return f"{self.reason}: {self.journal} {self.first_sequence}-{self.last_sequence}"


class RawEvent(models.Model):
    """An event that could not be understood or stored: kept as it came, with the reason."""

    server = models.ForeignKey(LeshanServer, on_delete=models.CASCADE, related_name="raw_events")
    device = models.ForeignKey(
        "devices.Device", on_delete=models.SET_NULL, null=True, blank=True, related_name="raw_events"
    )
    event_id = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=64, blank=True)
    # the event's data exactly as received, invalid UTF-8 included
    data = models.BinaryField()
    # bytes in the original; more than len(data) where it was too long to keep whole
    size = models.PositiveBigIntegerField()
    error = models.TextField()
    received_at = models.DateTimeField(db_index=True)
    # when it was understood after all, such as after its object definition was added
    decoded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """An event with an id is kept once."""

        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(name="UNDECODED", decoded_at__isnull=True), name="devices_rawevent_undecoded"
            ),
            models.Index(fields=["device", "-received_at"], name="devices_rawevent_device"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["server", "event_id"], condition=~Q(event_id=""), name="devices_rawevent_once"
            ),
        ]

    def __str__(self) -> str:
        """Event name and error."""
        return f"{self.name or 'event'} {self.event_id}: {self.error}"
