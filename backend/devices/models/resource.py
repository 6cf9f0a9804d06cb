"""The current value of every resource ever seen."""

from django.db import models

from backend.devices.models.device import Device


class ValueType(models.TextChoices):
    """LwM2M data types (LwM2M Core 1.1, appendix C)."""

    STRING = "STRING", "String"
    INTEGER = "INTEGER", "Integer"
    UNSIGNED_INTEGER = "UNSIGNED_INTEGER", "Unsigned integer"
    FLOAT = "FLOAT", "Float"
    BOOLEAN = "BOOLEAN", "Boolean"
    OPAQUE = "OPAQUE", "Opaque"
    TIME = "TIME", "Time"
    OBJLNK = "OBJLNK", "Object link"
    CORELNK = "CORELNK", "CoRE link"


class Resource(models.Model):
    """The newest known value of one resource, or of one instance of a multi-instance resource.

    Times are microseconds since 1970 (UTC), as in samples, because this is the hot path. Names and units are not
    copied here: they come from the object models (`selectors.resource_list`), so a model added later names old values.
    """

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="resources")
    # /object/instance/resource[/resource instance]
    path = models.CharField(max_length=32)
    object_id = models.PositiveIntegerField()
    object_instance_id = models.PositiveIntegerField()
    resource_id = models.PositiveIntegerField()
    resource_instance_id = models.PositiveIntegerField(null=True, blank=True)
    type = models.CharField(max_length=16, choices=ValueType.choices)
    # canonical text, exact for every type (backend.lwm2m.values)
    value = models.TextField()
    # what `value` is worth as a number, where it is one (booleans: 0 and 1); for sorting and charts
    number = models.FloatField(null=True, blank=True)
    # when the value was true: the device's own time where it sent one, else the receive time
    time = models.BigIntegerField()
    received = models.BigIntegerField()
    has_device_time = models.BooleanField(default=False)

    class Meta:
        """A path once per device."""

        ordering = ["object_id", "object_instance_id", "resource_id", "resource_instance_id"]
        constraints = [
            models.UniqueConstraint(fields=["device", "path"], name="devices_resource_once"),
        ]

    def __str__(self) -> str:
        """Path and value."""
        return f"{self.path} = {self.value}"
