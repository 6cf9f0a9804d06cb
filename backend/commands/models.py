"""Commands: one request to one device each, from the question to the device's answer."""

import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.devices.models import Device


class Kind(models.TextChoices):
    """The operations of LwM2M (Core 1.1, 6.3 and 6.4) and what their `arguments` are (docs/api.md)."""

    READ = "read", "Read"
    WRITE = "write", "Write"
    WRITE_ATTRIBUTES = "write_attributes", "Write attributes"
    EXECUTE = "execute", "Execute"
    CREATE = "create", "Create"
    DELETE = "delete", "Delete"
    DISCOVER = "discover", "Discover"
    OBSERVE = "observe", "Observe"
    CANCEL_OBSERVE = "cancel_observe", "Cancel observation"
    READ_COMPOSITE = "read_composite", "Read composite"
    WRITE_COMPOSITE = "write_composite", "Write composite"
    OBSERVE_COMPOSITE = "observe_composite", "Observe composite"
    CANCEL_COMPOSITE = "cancel_composite", "Cancel composite observation"
    # a whole file, block-wise, from the LwM2M server's package store; only firmware updates ask for it
    WRITE_PACKAGE = "write_package", "Write package"


# what people may ask for
ASKABLE = tuple(kind.value for kind in Kind if kind is not Kind.WRITE_PACKAGE)

# several paths at once: they have no `path` of their own
COMPOSITES = frozenset({Kind.READ_COMPOSITE, Kind.WRITE_COMPOSITE, Kind.OBSERVE_COMPOSITE, Kind.CANCEL_COMPOSITE})
# asking twice does what asking once does: a silent device is asked again
REPEATABLE = frozenset(set(Kind) - {Kind.EXECUTE, Kind.CREATE, Kind.DELETE, Kind.WRITE_PACKAGE})


# they change nothing on the device
HARMLESS = frozenset({Kind.READ, Kind.DISCOVER, Kind.READ_COMPOSITE})


class State(models.TextChoices):
    """How far a command has come (docs/architecture.md)."""

    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (State.QUEUED, State.SENT)
ENDED = (State.SUCCEEDED, State.FAILED, State.EXPIRED, State.CANCELLED)


def new_nonce() -> str:
    """Keeps request ids apart from those of an earlier database on the same Leshan server."""
    return secrets.token_hex(4)


class CommandBatch(models.Model):
    """The same question to many devices. Its state is derived from its commands, never set."""

    kind = models.CharField(max_length=20, choices=Kind.choices)
    path = models.CharField(max_length=32, blank=True)
    note = models.CharField(max_length=200, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_at = models.DateTimeField(db_index=True)

    class Meta:
        """Newest first."""

        ordering = ["-asked_at", "-id"]

    def __str__(self) -> str:
        """What was asked."""
        return f"{self.kind} {self.path}"


class Command(models.Model):
    """One request to one device. Made by web or API, carried out by `sync`; ids give a device's order."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="commands")
    batch = models.ForeignKey(CommandBatch, on_delete=models.CASCADE, null=True, blank=True, related_name="commands")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    # /object[/instance[/resource[/resource instance]]]; "" for composites, whose paths are in the arguments
    path = models.CharField(max_length=32, blank=True)
    # by kind, see docs/api.md
    arguments = models.JSONField(default=dict)
    # TLV, JSON, TEXT, OPAQUE, CBOR, SENML_JSON, SENML_CBOR; "": the server's choice
    content_format = models.CharField(max_length=12, blank=True)
    # what a person calls it, such as "Set clock"
    note = models.CharField(max_length=200, blank=True)

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    # in plain words: why it waits, or why it ended so
    reason = models.TextField(blank=True)

    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # a retry waits until then
    not_before = models.DateTimeField(null=True, blank=True)
    # the newest attempt
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # with the id it makes the Request-Id; and the server's journal that the newest attempt was given to
    nonce = models.CharField(max_length=8, default=new_nonce)
    journal = models.CharField(max_length=48, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    ended_at = models.DateTimeField(null=True, blank=True)

    # the device's answer as Leshan gave it; null where there is none
    answer = models.JSONField(null=True, blank=True)
    # such as "CONTENT(205)" or "NOT_FOUND(404)"
    status = models.CharField(max_length=40, blank=True)
    # from sending to the answer, by Leshan's clock
    duration_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        """Every end is complete; one command of a device is in flight."""

        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="commands_command_state_known"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="commands_command_kind_known"),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at__isnull=True) | Q(state__in=ENDED, ended_at__isnull=False),
                name="commands_command_end_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[State.FAILED, State.EXPIRED, State.CANCELLED]) | ~Q(reason=""),
                name="commands_command_end_has_reason",
            ),
            # a package transfer takes long: one may be under way beside the one ordinary command
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(state=State.SENT) & ~Q(kind=Kind.WRITE_PACKAGE),
                name="commands_command_one_in_flight",
            ),
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(state=State.SENT, kind=Kind.WRITE_PACKAGE),
                name="commands_command_one_package",
            ),
        ]
        indexes = [
            models.Index(fields=["device", "-id"], name="commands_command_device"),
            # what sync looks for, again and again: few rows, whatever has ended
            models.Index(fields=["id"], condition=Q(state="queued"), name="commands_command_queued"),
            models.Index(
                fields=["id"],
                condition=Q(state="sent", cancel_requested_at__isnull=False),
                name="commands_command_cancelling",
            ),
            models.Index(fields=["batch", "state"], name="commands_command_batch"),
            # what people look for: the newest ones that failed
            models.Index(fields=["state", "-id"], name="commands_command_state"),
        ]

    def __str__(self) -> str:
        """What was asked of whom."""
        return f"{self.id} {self.kind} {self.path} {self.state}"

    @property
    def request_id(self) -> str:
        """The Request-Id of the newest attempt: an id starts nothing twice, so each attempt has its own."""
        first = f"{self.pk}-{self.nonce}"
        return first if self.attempts <= 1 else f"{first}.{self.attempts}"

    @property
    def paths(self) -> list[str]:
        """The path, or a composite's paths."""
        if self.kind == Kind.WRITE_COMPOSITE:
            nodes: dict[str, Any] = self.arguments.get("nodes", {})
            return list(nodes)
        if self.kind in COMPOSITES:
            return list(self.arguments.get("paths", []))
        return [self.path]
