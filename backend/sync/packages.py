"""Firmware packages at Leshan: handing them over, letting devices fetch them, taking them back."""

from dataclasses import dataclass

from backend.firmware.storage import image_path
from backend.sync.client import LeshanClient
from backend.sync.exceptions import BadRequestError, LeshanError, NotFoundError, NotRegisteredError
from backend.sync.work import GrantDone, Outcome, PackageDone, PackagesListed, Step

STOCK = "This Leshan server keeps no firmware packages: FlowNexus's own is needed"


def _said(error: Exception) -> str:
    return (error.said if isinstance(error, LeshanError) else "") or str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class GivePackage(Step):
    """Sees to it that Leshan has an image."""

    sha256: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """Streams the file where Leshan does not have it yet."""
        try:
            if not client.package_has(self.sha256):
                client.package_put(self.sha256, image_path(self.sha256))
        except OSError as error:
            return PackageDone(self.sha256, f"the image's file cannot be read: {error.strerror or error}")
        except (NotFoundError, BadRequestError) as error:
            return PackageDone(self.sha256, error.said or STOCK)
        return PackageDone(self.sha256)

    def failed(self, error: Exception) -> Outcome | None:
        """Leshan's reason."""
        return PackageDone(self.sha256, _said(error))


@dataclass(frozen=True, slots=True)
class Grant(Step):
    """Lets an update's device fetch the package."""

    update_id: int
    endpoint: str
    sha256: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """Where it is to be fetched."""
        try:
            return GrantDone(self.update_id, self.sha256, client.grant_put(self.endpoint, self.sha256))
        except NotRegisteredError:
            return GrantDone(self.update_id, self.sha256)
        except NotFoundError as error:
            missing = bool(error.said)
            return GrantDone(self.update_id, self.sha256, missing=missing, error="" if missing else STOCK)

    def failed(self, error: Exception) -> Outcome | None:
        """Leshan's reason."""
        return GrantDone(self.update_id, self.sha256, error=_said(error))


@dataclass(frozen=True, slots=True)
class Revoke(Step):
    """The device is to fetch the package no longer."""

    endpoint: str
    sha256: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """Nothing to tell: what is left over goes with the package."""
        client.grant_delete(self.endpoint, self.sha256)
        return None


@dataclass(frozen=True, slots=True)
class ListPackages(Step):
    """Which packages Leshan has."""

    def run(self, client: LeshanClient) -> Outcome | None:
        """Their hashes; a stock server has none."""
        try:
            return PackagesListed(frozenset(client.packages()))
        except NotFoundError:
            return PackagesListed(frozenset())


@dataclass(frozen=True, slots=True)
class DropPackage(Step):
    """No update needs it any more."""

    sha256: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """Nothing to tell."""
        client.package_delete(self.sha256)
        return None
