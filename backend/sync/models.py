"""What `sync` keeps for itself."""

from django.db import models

from backend.devices.models import LeshanServer


class PushedCredential(models.Model):
    """A credential that we gave to a Leshan server.

    Leshan does not tell keys, so this is how we know that it has the right one, and which entries are ours to remove.
    """

    server = models.ForeignKey(LeshanServer, on_delete=models.CASCADE, related_name="pushed_credentials")
    endpoint = models.CharField(max_length=255)
    # SHA-256 of what was given
    digest = models.CharField(max_length=64)

    class Meta:
        """An endpoint once per server."""

        constraints = [
            models.UniqueConstraint(fields=["server", "endpoint"], name="sync_pushedcredential_once"),
        ]

    def __str__(self) -> str:
        """The endpoint name."""
        return self.endpoint
