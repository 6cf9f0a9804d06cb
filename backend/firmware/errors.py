"""What cannot be done with firmware; every message is a sentence that says what is wrong and what to do."""


class FirmwareError(ValueError):
    """Base of this room's errors."""


class TooLargeError(FirmwareError):
    """An image exceeds the limit (413 over HTTP)."""


class NoRoomError(FirmwareError):
    """The image folder cannot be written (507 over HTTP)."""


class InUseError(FirmwareError):
    """Something open still needs it (409 over HTTP)."""
