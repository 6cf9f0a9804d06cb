"""What is observed on a device, wanted and real."""

from django.db import models
from django.db.models import Q

from backend.devices.models.device import Device


class Observation(models.Model):
    """One path of one device that is wanted as an observation, and how far that has come."""

    class State(models.TextChoices):
        """Is the observation there?"""

        WANTED = "wanted", "Wanted"
        ACTIVE = "active", "Active"
        FAILED = "failed", "Failed"

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="observations")
    path = models.CharField(max_length=32)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WANTED)
    # the registration that it was established in: a new registration drops every observation
    registration_id = models.CharField(max_length=64, blank=True)
    # in words, with the device's code; only for failed
    reason = models.TextField(blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        """A path once per device; a failure has a reason."""

        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["device", "path"], name="devices_observation_once"),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(reason=""), name="devices_observation_failed_has_reason"
            ),
        ]

    def __str__(self) -> str:
        """Path and state."""
        return f"{self.path} {self.state}"
