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
    # notification attributes (pmin, pmax, gt, lt, st) that are wanted, and those that the device has taken
    attributes = models.JSONField(default=dict, blank=True)
    attributes_set = models.JSONField(default=dict, blank=True)
    # established together with others, in one composite observation
    composite = models.BooleanField(default=False)
    # in words, with the device's code; for an active one: what it did not take, such as an attribute
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


class DeviceObservation(models.Model):
    """What a person wants, or does not want, observed on one device: it overrides the profile's word on that path."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="own_observations")
    path = models.CharField(max_length=32)
    wanted = models.BooleanField(default=True)
    # pmin, pmax (seconds), gt, lt, st
    attributes = models.JSONField(default=dict, blank=True)

    class Meta:
        """A path once per device."""

        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["device", "path"], name="devices_deviceobservation_once"),
        ]

    def __str__(self) -> str:
        """The path, and whether it is wanted."""
        return self.path if self.wanted else f"not {self.path}"
