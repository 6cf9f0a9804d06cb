"""The change feed that live pages are fed from."""

from django.db import models


class Change(models.Model):
    """Something about a device (or a server: device null) is new. Written by `sync` only, so ids grow in commit order.

    One row per device and kind in a batch; rows older than a few minutes are deleted by `sync`.
    """

    class Kind(models.TextChoices):
        """Which part of a page is stale."""

        VALUES = "values", "Values"
        STATUS = "status", "Status"
        COMMANDS = "commands", "Commands"
        FIRMWARE = "firmware", "Firmware"
        LOGS = "logs", "Logs"
        ALERTS = "alerts", "Alerts"
        SERVER = "server", "Server"

    # a plain number: the feed must not slow down deleting a device
    device_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        """Oldest first."""

        ordering = ["id"]

    def __str__(self) -> str:
        """Kind and device."""
        return f"{self.id} {self.kind} {self.device_id}"
