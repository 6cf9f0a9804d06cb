"""What a kind of device is asked for."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q


class Profile(models.Model):
    """A named set of wishes for devices: what to observe, how long they stay awake."""

    name = models.CharField(max_length=64, unique=True)
    is_default = models.BooleanField(default=False)
    # seconds that a queue-mode device listens after its last message; null: the server's own default
    awake_seconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        """One default profile at most."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="devices_profile_one_default"
            ),
        ]

    def __str__(self) -> str:
        """The profile's name."""
        return self.name


class ProfileObservation(models.Model):
    """A path that the profile's devices are observed on; `*` stands for every instance that the device lists."""

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="observations")
    path = models.CharField(
        max_length=32,
        validators=[
            RegexValidator(
                r"^/\d{1,5}(/(\d{1,5}|\*)(/\d{1,5}(/\d{1,5})?)?)?$",
                "an LwM2M path such as /3/0/9, or /3303/*/5700 for every instance",
            )
        ],
    )

    class Meta:
        """A path once per profile."""

        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["profile", "path"], name="devices_profileobservation_once"),
        ]

    def __str__(self) -> str:
        """The path."""
        return self.path


def default_profile_id() -> int | None:
    """The default profile's id, for new devices; None where an administrator has removed it."""
    return Profile.objects.filter(is_default=True).values_list("pk", flat=True).first()
