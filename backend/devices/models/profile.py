"""What a kind of device is asked for."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q


class Profile(models.Model):
    """A named set of wishes for devices: what to observe, how long they stay awake."""

    name = models.CharField(max_length=64, unique=True)
    is_default = models.BooleanField(default=False)
    # seconds that a queue-mode device listens after its last message; null: the server's own default
    awake_seconds = models.PositiveIntegerField(null=True, blank=True)
    # observe all paths in one composite observation, where the device can (LwM2M Core 1.1, 6.4.4)
    composite = models.BooleanField(default=False)
    # set the device's clock (/3/0/13) where it is wrong and can be written
    set_clock = models.BooleanField(default=True)
    # days that samples, rollups by minute, rollups by hour and day, and log lines are kept; null: for ever
    samples_days = models.PositiveIntegerField(null=True, blank=True, default=90)
    minutes_days = models.PositiveIntegerField(null=True, blank=True, default=365)
    hours_days = models.PositiveIntegerField(null=True, blank=True, default=None)
    logs_days = models.PositiveIntegerField(null=True, blank=True, default=30)
    # log lines a minute that are kept of a device in the long run (a burst of ten minutes' worth may come at once),
    # and MiB of text that its lines may take; null: as many as come
    logs_per_minute = models.PositiveIntegerField(null=True, blank=True, default=600)
    logs_mib = models.PositiveIntegerField(null=True, blank=True, default=64)

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
    # notification attributes (LwM2M Core 1.1, 5.1.2); null: not set
    pmin = models.PositiveIntegerField(null=True, blank=True)
    pmax = models.PositiveIntegerField(null=True, blank=True)
    gt = models.FloatField(null=True, blank=True)
    lt = models.FloatField(null=True, blank=True)
    st = models.FloatField(null=True, blank=True)

    class Meta:
        """A path once per profile; periods in order."""

        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["profile", "path"], name="devices_profileobservation_once"),
            models.CheckConstraint(
                condition=Q(pmin__isnull=True) | Q(pmax__isnull=True) | Q(pmax__gte=F("pmin")),
                name="devices_profileobservation_periods",
            ),
        ]

    def __str__(self) -> str:
        """The path."""
        return self.path

    @property
    def attributes(self) -> dict[str, float]:
        """Those that are set, by name."""
        every = {"pmin": self.pmin, "pmax": self.pmax, "gt": self.gt, "lt": self.lt, "st": self.st}
        return {name: value for name, value in every.items() if value is not None}


class ProfileRule(models.Model):
    """Which devices get the profile: all that is given must match. The first rule that matches wins."""

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(default=0)
    # `*` and `?` as in file names, upper and lower case alike; "" matches everything
    endpoint = models.CharField(max_length=255, blank=True)
    manufacturer = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=255, blank=True)

    class Meta:
        """In the order in which they are tried; a rule says something."""

        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(endpoint="") | ~Q(manufacturer="") | ~Q(model=""),
                name="devices_profilerule_says_something",
            ),
        ]

    def __str__(self) -> str:
        """What it matches."""
        return f"{self.endpoint or '*'} {self.manufacturer or '*'} {self.model or '*'}"


def default_profile_id() -> int | None:
    """The default profile's id, for new devices; None where an administrator has removed it."""
    return Profile.objects.filter(is_default=True).values_list("pk", flat=True).first()
