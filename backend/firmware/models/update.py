"""One device's way to another firmware."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.commands.models import Command
from backend.devices.models import Device
from backend.firmware.models.campaign import Campaign
from backend.firmware.models.image import FirmwareImage


class UpdateState(models.TextChoices):
    """How far an update has come (docs/firmware.md)."""

    PENDING = "pending", "Pending"
    DOWNLOADING = "downloading", "Downloading"
    DOWNLOADED = "downloaded", "Downloaded"
    UPDATING = "updating", "Updating"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (UpdateState.DOWNLOADING, UpdateState.DOWNLOADED, UpdateState.UPDATING)
OPEN = (UpdateState.PENDING, *ACTIVE)
ENDED = (UpdateState.SUCCEEDED, UpdateState.FAILED, UpdateState.CANCELLED)


class Method(models.TextChoices):
    """How the package comes to the device (5/x/9)."""

    AUTO = "auto", "As the device can"
    PUSH = "push", "Push (block-wise write to 5/x/0)"
    PULL = "pull", "Pull (the device fetches it)"


class Step(models.TextChoices):
    """What is being done within a state; kept, so that a restart goes on where it was."""

    # pending: for its turn in the campaign, for the device, for another update of the device
    WAIT = "wait", "Waiting"
    CHECK = "check", "Reading what the device says of itself"
    RESET = "reset", "Resetting what an earlier update left"
    # downloading
    PREPARE = "prepare", "Handing the package to the LwM2M server"
    DELIVER = "deliver", "Sending the package"
    FETCH = "fetch", "The device fetches the package"
    VERIFY = "verify", "Asking whether the package is complete"
    # downloaded, updating
    EXECUTE = "execute", "Telling the device to install it"
    INSTALL = "install", "The device installs it"
    HOLD = "hold", "Seeing whether the new firmware stays"
    # cancelled in the middle: the device forgets the package first
    UNDO = "undo", "Taking it back"
    DONE = "done", "Done"


class FirmwareUpdate(models.Model):
    """Made by web or API, or by a campaign; carried out by `sync`. Each end has a code and says why in words."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="firmware_updates")
    image = models.ForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="updates")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, blank=True, related_name="updates")
    # of the campaign, from 0
    phase = models.PositiveSmallIntegerField(default=0)
    # /5/x
    object_instance = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=4, choices=Method.choices, default=Method.AUTO)
    # "push" or "pull", once that is decided
    method_used = models.CharField(max_length=4, blank=True)
    # also where the device runs this version already, or the image is not for it
    force = models.BooleanField(default=False)
    hold_seconds = models.PositiveIntegerField(default=60)

    state = models.CharField(max_length=12, choices=UpdateState.choices, default=UpdateState.PENDING)
    step = models.CharField(max_length=8, choices=Step.choices, default=Step.WAIT)
    # of the end, from backend.firmware.endings; while it is open, of what it waits for
    code = models.CharField(max_length=32, blank=True)
    # in plain words: what it waits for, or why it ended so
    reason = models.TextField(blank=True)
    # as the device said last: State (5/x/3) and Update Result (5/x/5)
    lwm2m_state = models.SmallIntegerField(null=True, blank=True)
    update_result = models.SmallIntegerField(null=True, blank=True)
    # an old result that the device did not forget at the reset: it says nothing of this update
    stale_result = models.SmallIntegerField(null=True, blank=True)
    version_before = models.CharField(max_length=255, blank=True)
    version_after = models.CharField(max_length=255, blank=True)

    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_at = models.DateTimeField()
    # it may begin: at once, or when the campaign lets it
    admitted_at = models.DateTimeField(null=True, blank=True)
    # the first request to the device
    started_at = models.DateTimeField(null=True, blank=True)
    step_since = models.DateTimeField()
    # of the step; extended by what the transfer's speed says
    deadline_at = models.DateTimeField(null=True, blank=True)
    # `sync` looks at it then, even if nothing happens; null: only when something does. Of one that has ended: pages are
    # to be told
    look_at = models.DateTimeField(null=True, blank=True)
    # an update that could not even begin ends then
    give_up_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # it failed, and another one of the same campaign or by a person took its place
    retried_at = models.DateTimeField(null=True, blank=True)
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries")

    # the request that the step waits for
    command = models.ForeignKey(Command, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # transfers, executes and resets begun
    transfers = models.PositiveSmallIntegerField(default=0)
    executes = models.PositiveSmallIntegerField(default=0)
    resets = models.PositiveSmallIntegerField(default=0)
    # polls of the present step
    polls = models.PositiveIntegerField(default=0)
    executed_at = models.DateTimeField(null=True, blank=True)
    # registrations: that in which it was executed, and that which has to last
    registration_before = models.CharField(max_length=64, blank=True)
    registration_after = models.CharField(max_length=64, blank=True)
    package_uri = models.CharField(max_length=255, blank=True)
    # of the present transfer, as Leshan tells (PROGRESS)
    bytes_sent = models.PositiveBigIntegerField(default=0)
    progress_at = models.DateTimeField(null=True, blank=True)
    transfer_at = models.DateTimeField(null=True, blank=True)
    # bytes
    block_size = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        """Every end is complete; a device does one update at a time and has one waiting per instance."""

        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=UpdateState.values), name="firmware_update_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at__isnull=True) | Q(state__in=ENDED, ended_at__isnull=False),
                name="firmware_update_end_has_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN) | (~Q(code="") & ~Q(reason="")), name="firmware_update_end_has_reason"
            ),
            models.UniqueConstraint(
                fields=["device"], condition=Q(state__in=ACTIVE), name="firmware_update_one_active"
            ),
            models.UniqueConstraint(
                fields=["device", "object_instance"],
                condition=Q(state=UpdateState.PENDING),
                name="firmware_update_one_pending",
            ),
            models.UniqueConstraint(
                fields=["campaign", "device"],
                condition=Q(retried_at__isnull=True),
                name="firmware_update_campaign_once",
            ),
        ]
        indexes = [
            models.Index(fields=["device", "-id"], name="firmware_update_device"),
            models.Index(fields=["campaign", "state"], name="firmware_update_campaign"),
            models.Index(fields=["look_at"], condition=Q(look_at__isnull=False), name="firmware_update_due"),
            models.Index(fields=["state", "-id"], name="firmware_update_state"),
        ]

    def __str__(self) -> str:
        """What goes where."""
        return f"{self.id} {self.device_id} {self.state}"


class UpdateLine(models.Model):
    """One line of an update's history, for people."""

    update = models.ForeignKey(FirmwareUpdate, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        """Oldest first."""

        ordering = ["id"]

    def __str__(self) -> str:
        """The text."""
        return self.text
