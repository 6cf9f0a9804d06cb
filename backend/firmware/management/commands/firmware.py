"""`manage.py firmware`: images and signing keys on the command line."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.devices.models import Profile
from backend.devices.selectors import profile_by_name
from backend.firmware.errors import FirmwareError
from backend.firmware.models import FirmwareImage, Signature, SigningKey
from backend.firmware.selectors.images import image_get, image_list, signing_key_list
from backend.firmware.services.images import image_add, image_delete
from backend.firmware.services.keys import signing_key_add, signing_key_delete
from backend.firmware.storage import chunks_of

# a public key in a file is never so large
_MOST_PEM = 65_536


class Command(BaseCommand):
    """A mistake is one line on stderr and exit code 1."""

    help = "Firmware images: add, list, delete; and the public keys that they may be signed with."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command per thing that can be done."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        add = actions.add_parser("add", help="store an image; the same content is stored once")
        add.add_argument("file", type=Path, metavar="FILE")
        add.add_argument("--version", dest="image_version", default="", metavar="V", help="where it does not tell")
        add.add_argument("--manufacturer", default="", metavar="PATTERN", help="which devices it is for: * and ?")
        add.add_argument("--model", default="", metavar="PATTERN", help="which devices it is for: * and ?")
        add.add_argument("--profile", default="", metavar="NAME", help="which devices it is for")
        add.add_argument("--instance", type=int, metavar="N", help="of object 5, where devices have several")
        add.add_argument("--note", default="", metavar="TEXT")

        listed = actions.add_parser("list", help="what there is")
        listed.add_argument("--search", default="", metavar="TEXT")

        delete = actions.add_parser("delete", help="delete an image; not while an update needs it")
        delete.add_argument("id", type=int, metavar="ID")

        keys = actions.add_parser("keys", help="public keys that images may be signed with")
        keys_actions = keys.add_subparsers(dest="keys_action", required=True, metavar="ACTION")
        key_add = keys_actions.add_parser("add", help="register a public key")
        key_add.add_argument("name", metavar="NAME")
        key_add.add_argument("file", type=Path, metavar="FILE", help="PEM, as `imgtool getpub -e pem` writes it")
        keys_actions.add_parser("list", help="those that are registered")
        key_delete = keys_actions.add_parser("delete", help="remove a key")
        key_delete.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does one action."""
        actions = {"add": self._add, "list": self._list, "delete": self._delete}
        keys = {"add": self._key_add, "list": self._key_list, "delete": self._key_delete}
        try:
            if options["action"] == "keys":
                keys[options["keys_action"]](options)
            else:
                actions[options["action"]](options)
        except FirmwareError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename or 'The file'} cannot be read: {error.strerror}.") from None

    def _line(self, image: FirmwareImage) -> str:
        signature = Signature(image.signature).label.lower()
        if image.signed_by is not None:
            signature += f" with {image.signed_by.name}"
        version = image.version or "no version"
        return f"{image.pk:>5}  {image.sha256[:16]}  {image.size:>11,}  {version}  {image.file_name}  ({signature})"

    def _add(self, options: dict[str, Any]) -> None:
        file: Path = options["file"]
        profile = None
        if options["profile"]:
            try:
                profile = profile_by_name(name=options["profile"])
            except Profile.DoesNotExist:
                raise CommandError(f"There is no profile {options['profile']!r}.") from None
        if not file.is_file():
            raise CommandError(f"{file} is no file." if file.exists() else f"{file} does not exist.")
        image, made = image_add(
            chunks=chunks_of(file),
            file_name=file.name,
            version=options["image_version"],
            manufacturer=options["manufacturer"],
            model=options["model"],
            profile=profile,
            object_instance=options["instance"],
            note=options["note"],
            by=None,
        )
        if not made:
            self.stdout.write("this content is here already:")
        self.stdout.write(self._line(image_get(id=image.pk)))

    def _list(self, options: dict[str, Any]) -> None:
        for image in image_list(search=options["search"]):
            self.stdout.write(self._line(image))

    def _delete(self, options: dict[str, Any]) -> None:
        try:
            image_delete(image=image_get(id=options["id"]), by=None)
        except FirmwareImage.DoesNotExist:
            raise CommandError(f"There is no firmware image {options['id']}.") from None

    def _key_add(self, options: dict[str, Any]) -> None:
        with options["file"].open("rb") as file:
            key = signing_key_add(name=options["name"], pem=file.read(_MOST_PEM), by=None)
        self.stdout.write(f"{key.fingerprint[:16]}  {key.kind}  {key.name}")

    def _key_list(self, options: dict[str, Any]) -> None:
        for key in signing_key_list():
            self.stdout.write(f"{key.fingerprint[:16]}  {key.kind}  {key.name}")

    def _key_delete(self, options: dict[str, Any]) -> None:
        key = SigningKey.objects.filter(name=options["name"]).first()
        if key is None:
            raise CommandError(f"There is no signing key {options['name']!r}.")
        signing_key_delete(key=key, by=None)
