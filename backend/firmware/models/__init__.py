"""One concept per file; import them from here."""

from backend.firmware.models.campaign import Campaign
from backend.firmware.models.image import FirmwareImage, ImageKind, Signature, SigningKey
from backend.firmware.models.update import (
    ACTIVE,
    ENDED,
    OPEN,
    FirmwareUpdate,
    Method,
    Step,
    UpdateLine,
    UpdateState,
)

__all__ = [
    "ACTIVE",
    "ENDED",
    "OPEN",
    "Campaign",
    "FirmwareImage",
    "FirmwareUpdate",
    "ImageKind",
    "Method",
    "Signature",
    "SigningKey",
    "Step",
    "UpdateLine",
    "UpdateState",
]
