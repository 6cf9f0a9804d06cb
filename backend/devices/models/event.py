"""What happened to devices, for people to read."""

from django.db import models

from backend.devices.models.device import Device


class DeviceEvent(models.Model):
    """One line of history: a registration, its end, a refusal, an observation lost … Values are not events."""

    class Kind(models.TextChoices):
        """What happened."""

        REGISTERED = "registered", "Registered"
        UPDATED = "updated", "Registration changed"
        DEREGISTERED = "deregistered", "Deregistered"
        EXPIRED = "expired", "Registration expired"
        REPLACED = "replaced", "Registered again"
        REVOKED = "revoked", "Revoked"
        VANISHED = "vanished", "Registration vanished"
        REFUSED = "refused", "Refused"
        OBSERVATION_LOST = "observation_lost", "Observation ended by the device"
        UNDECODED = "undecoded", "Message not understood"
        DECODED = "decoded", "Message understood later"
        CLOCK_SET = "clock_set", "Clock set"

    # null: a refused peer that is no device of ours
    device = models.ForeignKey(Device, on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField(db_index=True)
    # one plain sentence, and the facts it was made from
    text = models.TextField(blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        """Newest first."""

        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["device", "-at"], name="devices_event_device_at")]

    def __str__(self) -> str:
        """Kind and text."""
        return f"{self.kind} {self.text}"
