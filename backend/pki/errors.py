"""What can go wrong when certificates and keys are made; every message says what to do."""


class PkiError(Exception):
    """Base of this room's errors."""


class NoAuthorityError(PkiError):
    """There is no CA yet, or its files cannot be used."""


class AlreadyThereError(PkiError):
    """Something would be overwritten."""


class BadNameError(PkiError):
    """A name cannot be used for an endpoint or a host."""
