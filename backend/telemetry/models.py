"""Time series: one per device and path, and their samples."""

from django.db import models

from backend.devices.models import Device


class Series(models.Model):
    """All samples of one path of one device."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="series")
    path = models.CharField(max_length=32)

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
