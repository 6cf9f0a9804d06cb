"""`scripts/certs`: the certificate authority on the command line."""

import argparse
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from backend.pki import selectors, services
from backend.pki.errors import PkiError
from backend.pki.models import Certificate, Credential

PROGRAM = "scripts/certs"
LISTED = 10


class Command(BaseCommand):
    """Makes the CA, the server's certificate and devices' credentials."""

    # checks load every page's code; there is none in certificates
    requires_system_checks = []

    help = "The certificate authority: a CA, the server's certificate, and a credential for every device."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command per thing that can be done."""
        parser.prog = PROGRAM
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", prog=PROGRAM)

        init = actions.add_parser("init", help="make the CA and the server's certificate; refuses to overwrite")
        self._add_hosts(init)

        server = actions.add_parser(
            "server", help="renew the server's certificate where it is due or lacks a host; its key stays"
        )
        self._add_hosts(server)

        device = actions.add_parser("device", help="let devices connect: make a credential for each, and its files")
        device.add_argument("endpoints", nargs="+", metavar="ENDPOINT", help="the device's endpoint name")
        device.add_argument("--psk", action="store_true", help="a pre-shared key instead of a certificate")
        device.add_argument("--keep", action="store_true", help="pass over endpoints that have a credential already")

        actions.add_parser("list", help="what has been issued")

    def _add_hosts(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--host",
            dest="hosts",
            action="append",
            default=[],
            metavar="NAME|IP",
            help="another name or address of this server, repeatable; localhost, 127.0.0.1 and ::1 are always named",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Does one action; a mistake is one line on stderr and exit code 1."""
        actions = {"init": self._init, "server": self._server, "device": self._device, "list": self._list}
        try:
            actions[options["action"]](options)
        except PkiError as error:
            self.stderr.write(f"{PROGRAM}: {error}")
            sys.exit(1)

    def _init(self, options: dict[str, Any]) -> None:
        authority, server = services.authority_create(hosts=options["hosts"])
        folder = settings.CERTS_DIR
        self.stdout.write(f"{authority.common_name}, valid until {authority.not_after:%Y-%m-%d}: {folder / 'ca.pem'}")
        self.stdout.write(f"server certificate, valid until {server.not_after:%Y-%m-%d}: {folder / 'server.pem'}")

    def _server(self, options: dict[str, Any]) -> None:
        made = services.server_certificate_ensure(hosts=options["hosts"])
        if made is None:
            self.stdout.write("the server certificate names all of these and is valid for a while")
        else:
            self.stdout.write(
                f"server certificate, valid until {made.not_after:%Y-%m-%d}: {settings.CERTS_DIR / 'server.pem'}"
            )

    def _device(self, options: dict[str, Any]) -> None:
        made = services.device_credentials_create(
            endpoints=options["endpoints"], psk=options["psk"], keep_existing=options["keep"]
        )
        for one in made[:LISTED]:
            self.stdout.write(f"{one.endpoint}: {self._kind(one.mode)} in {self._short(one.folder)}")
        if len(made) > LISTED:
            self.stdout.write(f"and {len(made) - LISTED} more in {self._short(made[0].folder.parent)}")
        if not made:
            self.stdout.write("all of these have a credential already")

    def _list(self, options: dict[str, Any]) -> None:
        for certificate in selectors.certificate_list().order_by("kind", "common_name", "id"):
            kind = Certificate.Kind(certificate.kind).label.lower()
            state = "revoked" if certificate.revoked_at else f"until {certificate.not_after:%Y-%m-%d}"
            self.stdout.write(f"{certificate.sha256[:16]}  {state}  {kind}: {certificate.common_name}")
        for entry in selectors.credential_list():
            if entry.mode == Credential.Mode.PSK:
                self.stdout.write(f"{'PSK':<16}  {'':<16}  device: {entry.endpoint}")

    def _kind(self, mode: Credential.Mode) -> str:
        return "identity and pre-shared key" if mode == Credential.Mode.PSK else "certificate and key"

    def _short(self, path: Path) -> str:
        try:
            return str(path.relative_to(Path.cwd()))
        except ValueError:
            return str(path)
