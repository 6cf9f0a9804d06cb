"""A rollout of one image to many devices."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from backend.firmware.models.image import FirmwareImage

_PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


class Campaign(models.Model):
    """What was decided about a rollout. Its status is derived from this and from its devices' updates, never set."""

    name = models.CharField(max_length=100)
    image = models.ForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="campaigns")
    object_instance = models.PositiveIntegerField(default=0)
    # which devices, as it was chosen: {"search", "status", "profile", …} as the device list filters, or
    # {"endpoints": […]}
    selection = models.JSONField(default=dict)
    # devices that come to match later are taken up, too: the image is what they should run
    standing = models.BooleanField(default=False)
    # "auto", "push", "pull"
    method = models.CharField(max_length=4, default="auto")
    # also devices that run this version already, or that the image is not for
    force = models.BooleanField(default=False)
    # cumulative percentages of the devices, the last is 100: [5, 25, 100]
    phases = models.JSONField(default=list)
    # updates under way at once
    concurrency = models.PositiveIntegerField(default=20)
    # percent of a phase's devices that must have succeeded before the next one begins
    success_threshold = models.PositiveSmallIntegerField(default=90, validators=_PERCENT)
    # percent of the devices that ended so far, in phases begun, that may have failed; more stops the rest
    error_threshold = models.PositiveSmallIntegerField(default=10, validators=_PERCENT)
    # seconds for which a device must stay registered with the new firmware before that counts as success
    hold_seconds = models.PositiveIntegerField(default=60)
    start_at = models.DateTimeField(null=True, blank=True)
    # time of day between which updates begin, in `zone` (IANA); from later than to: over midnight
    window_from = models.TimeField(null=True, blank=True)
    window_to = models.TimeField(null=True, blank=True)
    zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # by the error threshold; a person may go on all the same
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_reason = models.TextField(blank=True)
    # failures before this moment do not count towards the error threshold: a person has seen them
    resumed_at = models.DateTimeField(null=True, blank=True)
    # the phase that may begin, from 0
    phase = models.PositiveSmallIntegerField(default=0)

    class Meta:
        """Newest first."""

        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(concurrency__gte=1), name="firmware_campaign_concurrency"),
            models.CheckConstraint(
                condition=Q(success_threshold__lte=100, error_threshold__lte=100), name="firmware_campaign_thresholds"
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | ~Q(stopped_reason=""), name="firmware_campaign_stop_has_reason"
            ),
            models.CheckConstraint(
                condition=Q(window_from__isnull=True, window_to__isnull=True)
                | Q(window_from__isnull=False, window_to__isnull=False),
                name="firmware_campaign_window_whole",
            ),
        ]

    def __str__(self) -> str:
        """The campaign's name."""
        return self.name
