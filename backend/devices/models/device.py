"""A device and its registration."""

from django.db import models
from django.db.models import Q

from backend.devices.models.profile import Profile, default_profile_id
from backend.devices.models.server import LeshanServer


class Status(models.TextChoices):
    """The states that a device can be in (docs/architecture.md)."""

    NEVER_SEEN = "never_seen", "Never seen"
    ONLINE = "online", "Online"
    ASLEEP = "asleep", "Asleep"
    OFFLINE = "offline", "Offline"
    BLOCKED = "blocked", "Blocked"


class Device(models.Model):
    """A device that may connect, or once did. Provisioned by a person; brought to life by `sync`."""

    endpoint = models.CharField(max_length=255, unique=True)
    profile = models.ForeignKey(
        Profile,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        default=default_profile_id,
        related_name="devices",
    )
    # chosen by a person: rules leave it alone
    profile_by_hand = models.BooleanField(default=False)
    # learned: seconds that it really listens after a message, where that is less than the profile says
    awake_seconds = models.PositiveIntegerField(null=True, blank=True)
    server = models.ForeignKey(LeshanServer, on_delete=models.SET_NULL, null=True, blank=True, related_name="devices")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.NEVER_SEEN, db_index=True)
    status_since = models.DateTimeField(null=True, blank=True)
    # the newest message of any kind from the device, by the server's clock
    last_contact = models.DateTimeField(null=True, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # what the device says of itself (object 3), copied here so that lists of thousands sort and filter fast
    manufacturer = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=255, blank=True)
    serial_number = models.CharField(max_length=255, blank=True)
    firmware_version = models.CharField(max_length=255, blank=True)

    class Meta:
        """Constraints and order."""

        ordering = ["endpoint"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="devices_device_status_known"),
            models.CheckConstraint(condition=~Q(endpoint=""), name="devices_device_endpoint_given"),
        ]
        indexes = [
            models.Index(fields=["model"], name="devices_device_model"),
            models.Index(fields=["firmware_version"], name="devices_device_firmware"),
        ]

    def __str__(self) -> str:
        """The endpoint name."""
        return self.endpoint


class Registration(models.Model):
    """A device's newest registration (LwM2M Core 1.1, 6.2); `ended_at` tells that it is over and why."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, related_name="registration")
    registration_id = models.CharField(max_length=64)
    registered_at = models.DateTimeField()
    last_update = models.DateTimeField()
    # seconds after last_update at which the server removes it
    lifetime = models.PositiveBigIntegerField()
    address = models.CharField(max_length=64)
    lwm2m_version = models.CharField(max_length=8)
    binding_mode = models.CharField(max_length=8, blank=True)
    queue_mode = models.BooleanField(default=False)
    secure = models.BooleanField(default=False)
    root_path = models.CharField(max_length=64, default="/")
    # [{"url": "/3303/0", "attributes": {"ver": "1.1"}}, …] as the device listed them
    object_links = models.JSONField(default=list)
    additional_attributes = models.JSONField(default=dict)
    ended_at = models.DateTimeField(null=True, blank=True)
    # deregistered, expired, replaced, revoked (from the server), or vanished (found missing at a reconcile)
    end_reason = models.CharField(max_length=16, blank=True)

    class Meta:
        """An ended registration says why."""

        constraints = [
            models.CheckConstraint(
                condition=(Q(ended_at__isnull=True) & Q(end_reason=""))
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
                name="devices_registration_end_has_reason",
            ),
        ]

    def __str__(self) -> str:
        """Device and registration id."""
        return f"{self.device_id} {self.registration_id}"
