"""Object definitions: as Leshan knows them, and those that people add."""

from django.conf import settings
from django.db import models


class ObjectSpec(models.Model):
    """The definition of one object version, from Leshan: names, units, types and operations of its resources."""

    object_id = models.PositiveIntegerField()
    version = models.CharField(max_length=8)
    name = models.CharField(max_length=255)
    # as Leshan gives it: {"id","name","version","description","instancetype","mandatory","resourcedefs":[…]}
    spec = models.JSONField()
    fetched_at = models.DateTimeField()

    class Meta:
        """A version of an object once."""

        ordering = ["object_id", "version"]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "version"], name="devices_objectspec_once"),
        ]

    def __str__(self) -> str:
        """Id, version and name."""
        return f"/{self.object_id} {self.version} {self.name}"


class ObjectDefinition(models.Model):
    """A DDF file that a person uploaded. `sync` gives it to Leshan; it wins over a bundled one of that version."""

    object_id = models.PositiveIntegerField()
    version = models.CharField(max_length=8)
    name = models.CharField(max_length=255)
    xml = models.TextField()
    sha256 = models.CharField(max_length=64)
    uploaded_at = models.DateTimeField()
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Leshan's word where it refuses the file
    problem = models.TextField(blank=True)

    class Meta:
        """A version of an object once."""

        ordering = ["object_id", "version"]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "version"], name="devices_objectdefinition_once"),
        ]

    def __str__(self) -> str:
        """Id, version and name."""
        return f"/{self.object_id} {self.version} {self.name}"
