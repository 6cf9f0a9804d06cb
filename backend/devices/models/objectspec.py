"""Object definitions as Leshan knows them."""

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
