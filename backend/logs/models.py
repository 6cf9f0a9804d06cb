"""Log lines of devices (docs/device-logs.md)."""

from django.db import models
from django.db.models import F, Q

from backend.devices.models import Device


class Severity(models.IntegerChoices):
    """Zephyr's levels. UNREAD: the message was no log message of the format; it is kept as it came."""

    UNREAD = 0, "Unread"
    ERROR = 1, "Error"
    WARNING = 2, "Warning"
    INFO = 3, "Info"
    DEBUG = 4, "Debug"


class Boot(models.Model):
    """One run of a device, from one start to the next: line numbers and uptimes count from its beginning."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="boots")
    # the device's own number for it
    boot_id = models.BigIntegerField()
    # microseconds since 1970 at which its uptime was 0, by our clock
    started = models.BigIntegerField()
    # the highest line number that we know of, -1: none; and how many lines below it the device says it gave up
    last_sequence = models.BigIntegerField(default=-1)
    lost = models.BigIntegerField(default=0)
    first_received_at = models.DateTimeField()
    # The clock of a boot is its fastest message of the last hour or two: `started` is the best of the stretch before
    # and of this one, whose own best, beginning (uptime, ms) and number of messages these are.
    stretch_started = models.BigIntegerField()
    stretch_uptime = models.BigIntegerField()
    stretch_messages = models.IntegerField(default=0)
    # the time given to the line `last_sequence` (or to what was lost last); null: none yet
    last_time = models.BigIntegerField(null=True)

    class Meta:
        """A boot once per device."""

        constraints = [models.UniqueConstraint(fields=["device", "boot_id"], name="logs_boot_once")]
        indexes = [models.Index(fields=["device", "-started"], name="logs_boot_device_started")]

    def __str__(self) -> str:
        """Device and boot id."""
        return f"{self.device_id} {self.boot_id:08x}"


class Line(models.Model):
    """One line. (device, boot, sequence) is there once, however often it is sent."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="log_lines")
    # null: not of the format (UNREAD)
    boot = models.ForeignKey(Boot, on_delete=models.CASCADE, null=True, db_index=False, related_name="lines")
    sequence = models.BigIntegerField(null=True)
    # microseconds since 1970: when the device logged it, and when we had it
    time = models.BigIntegerField()
    received = models.BigIntegerField()
    # milliseconds since the boot; null with the boot
    uptime = models.BigIntegerField(null=True)
    severity = models.SmallIntegerField(choices=Severity.choices)
    # 31 bytes; four characters each where they are no UTF-8
    module = models.CharField(max_length=124, blank=True)
    text = models.TextField()
    # UNREAD: why it could not be read, in one sentence
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        """Newest first; the text is searched through an index of three-letter pieces (see the migrations)."""

        constraints = [
            models.UniqueConstraint(fields=["boot", "sequence"], name="logs_line_once"),
            models.CheckConstraint(
                condition=Q(boot__isnull=True, sequence__isnull=True, severity=0)
                | Q(boot__isnull=False, sequence__isnull=False, severity__gt=0),
                name="logs_line_numbered",
            ),
        ]
        indexes = [
            models.Index(fields=["time", "id"], name="logs_line_time"),
            models.Index(fields=["device", "time", "id"], name="logs_line_device_time"),
        ]

    def __str__(self) -> str:
        """Severity, module and text."""
        return f"{self.severity} {self.module}: {self.text}"


class Loss(models.Model):
    """Lines that will never come, or that we did not keep: shown where they would stand."""

    class Reason(models.TextChoices):
        """Who gave them up."""

        DEVICE = "device", "given up by the device"
        MISSING = "missing", "never arrived"
        RATE = "rate", "cut: more lines a minute than the profile keeps"
        SPACE = "space", "cut: the device's lines take more space than the profile allows"

    device = models.ForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="log_losses")
    boot = models.ForeignKey(Boot, on_delete=models.CASCADE, db_index=False, related_name="losses")
    # line numbers, both included
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    reason = models.CharField(max_length=8, choices=Reason.choices)
    # microseconds since 1970: the times of the last line before them (null: none) and of the first line after them
    since = models.BigIntegerField(null=True)
    time = models.BigIntegerField()
    # the device's count of given-up lines on either side of them: the difference is how many of these it gave up
    lost_before = models.BigIntegerField(default=0)
    lost_after = models.BigIntegerField(default=0)

    class Meta:
        """A range of at least one line."""

        constraints = [
            models.UniqueConstraint(fields=["boot", "first"], name="logs_loss_once"),
            models.CheckConstraint(condition=Q(last__gte=F("first")), name="logs_loss_forward"),
        ]
        indexes = [
            models.Index(fields=["device", "time"], name="logs_loss_device_time"),
            models.Index(fields=["time"], name="logs_loss_time"),
            models.Index(fields=["boot", "last"], name="logs_loss_boot_last"),
        ]

    def __str__(self) -> str:
        """How many and why."""
        return f"{self.last - self.first + 1} {self.reason}"


class Usage(models.Model):
    """What a device's lines cost, and what its rate limit has left."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, primary_key=True, related_name="log_usage")
    lines = models.BigIntegerField(default=0)
    # of text, in UTF-8
    bytes = models.BigIntegerField(default=0)
    # lines that we did not keep
    cut = models.BigIntegerField(default=0)
    # lines that may come at once now, as of `counted_at`: a bucket that fills with time
    allowance = models.FloatField(null=True)
    counted_at = models.DateTimeField()

    class Meta:
        """Never negative."""

        constraints = [
            models.CheckConstraint(condition=Q(lines__gte=0, bytes__gte=0, cut__gte=0), name="logs_usage_counts"),
        ]

    def __str__(self) -> str:
        """Lines and bytes."""
        return f"{self.device_id} {self.lines} lines, {self.bytes} bytes"


class Module(models.Model):
    """A module that a device has lines of, or had: what a filter offers, without a look at all lines."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="log_modules")
    name = models.CharField(max_length=124)

    class Meta:
        """A name once per device."""

        constraints = [models.UniqueConstraint(fields=["device", "name"], name="logs_module_once")]

    def __str__(self) -> str:
        """Device and name."""
        return f"{self.device_id} {self.name}"
