"""Time series: one per device and path, their samples, what is summed up of them, and how they are looked at."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.devices.models import Device


class Series(models.Model):
    """All samples of one path of one device."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="series")
    path = models.CharField(max_length=32)
    # samples that are kept and are in the rollups; those of hours that are not summed up yet are not counted
    kept = models.BigIntegerField(default=0)

    class Meta:
        """A path once per device."""

        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["device", "path"], name="telemetry_series_once")]

    def __str__(self) -> str:
        """Device and path."""
        return f"{self.device_id} {self.path}"


class Sample(models.Model):
    """One value at one moment. Nothing points at samples; on SQLite the table has no rowid (see the migration).

    The same value at the same moment is one sample; different values of one moment are told apart by `seq`.
    """

    pk = models.CompositePrimaryKey("series_id", "time", "seq")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, db_index=False, related_name="samples")
    # microseconds since 1970 (UTC): the device's own time where it sent one, else the receive time
    time = models.BigIntegerField()
    seq = models.SmallIntegerField(default=0)
    number = models.FloatField(null=True)
    # what a float cannot hold exactly: NaN, infinities, integers beyond 2^53, text
    text = models.TextField(null=True)  # noqa: DJ001 - null keeps a row small; an empty text is a value
    # milliseconds from `time` to the receive time; null where the device sent no time of its own
    delay = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        """Series, time and value."""
        return f"{self.series_id} {self.time} {self.number if self.text is None else self.text}"


class Level(models.IntegerChoices):
    """How long a rollup's bucket is, in seconds. Buckets begin at whole multiples since 1970 (UTC)."""

    MINUTE = 60, "Minute"
    HOUR = 3600, "Hour"
    DAY = 86400, "Day"


class Rollup(models.Model):
    """What a series did in one minute, hour or day (UTC). On SQLite the table has no rowid.

    True while the hour is not in `StaleHour`; what is in there is read from the samples themselves. An hour with few
    samples has no rows by minute as long as its samples are kept.
    """

    pk = models.CompositePrimaryKey("series_id", "level", "start")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, db_index=False, related_name="rollups")
    level = models.IntegerField(choices=Level.choices)
    # microseconds since 1970 (UTC): the bucket's begin
    start = models.BigIntegerField()
    # samples that are numbers (no NaN, no infinities), and the others
    count = models.IntegerField()
    others = models.IntegerField(default=0)
    # all null where count is 0. The others are also null where they are the same as the minimum: most rows are of
    # values that do not change, or of one, and so take half the room
    minimum = models.FloatField(null=True)
    maximum = models.FloatField(null=True)
    mean = models.FloatField(null=True)
    first = models.FloatField(null=True)
    last = models.FloatField(null=True)
    # only of hours whose samples are kept, else null: microseconds since 1970 from which the retention counts, which
    # is the hour's end, or the last receive time where that is later
    kept_since = models.BigIntegerField(null=True)
    # only of hours: there are rows by minute
    minutes = models.BooleanField(null=True)

    def __str__(self) -> str:
        """Series, level and start."""
        return f"{self.series_id} {self.level} {self.start}"


class StaleHour(models.Model):
    """An hour of a series with samples that are not in the rollups yet. Marked in the transaction that stores them."""

    pk = models.CompositePrimaryKey("series_id", "hour")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, db_index=False, related_name="stale_hours")
    # hours since 1970 (UTC)
    hour = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        """Series and hour."""
        return f"{self.series_id} {self.hour}"


class Dashboard(models.Model):
    """A named set of charts, shared by everybody of this installation."""

    name = models.CharField(max_length=64, unique=True)
    # [{"title": "…", "series": [["endpoint", "/3303/0/5700"], …]}, …]
    charts = models.JSONField(default=list)
    # what is shown at first: "1h", "24h" … as in the address of Explore
    range = models.CharField(max_length=16, default="24h")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        """By name; a name says something."""

        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="telemetry_dashboard_named")]

    def __str__(self) -> str:
        """The name."""
        return self.name
