"""`manage.py sync`."""

import logging
import signal
import time
from argparse import ArgumentParser
from datetime import timedelta
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from backend.config.leshan import Token
from backend.devices.models import LeshanServer
from backend.devices.services import server_ensure
from backend.sync.client import LeshanClient
from backend.sync.exceptions import AlreadyRunningError
from backend.sync.lock import Lock, lock_acquire
from backend.sync.runner import Runner

log = logging.getLogger("backend.sync")

ALREADY_RUNNING = 2
# a loaded machine may miss some of the signs of life that are due every second
SILENT_AFTER = timedelta(seconds=15)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = (
        "Keeps the database and a Leshan server in step: stores every event of its stream, gives it the devices' "
        "credentials, keeps registrations and observations as wanted. Where Leshan is: FLOWNEXUS_LESHAN_URL, with the "
        "token from FLOWNEXUS_LESHAN_TOKEN or FLOWNEXUS_LESHAN_TOKEN_FILE. Only one may run per database: a second "
        "one ends at once with exit code 2."
    )
    # migrations are checked in handle, with one line instead of a list; system checks would load every page's code
    requires_migrations_checks = False
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Two flags."""
        parser.add_argument(
            "--server", default="default", metavar="NAME", help="the Leshan server's name in the database [%(default)s]"
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="start nothing: is the one that runs alive and connected? exit code 0 or 1",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """CommandError with one line where it cannot start."""
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        stopped: list[int] = []

        def on_signal(number: int, frame: FrameType | None) -> None:
            stopped.append(number)
            if runner is not None:
                runner.stop()

        runner: Runner | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        name = options["server"]
        if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
            raise CommandError(f"--server {name!r}: letters, digits, - and _ only, 64 at most")
        if options["check"]:
            self._check(name)
            return
        opened = self._open(name, stopped)
        if opened is None:
            return
        server, lock = opened
        client = LeshanClient(server.url, Token(text=settings.LESHAN_TOKEN, file=settings.LESHAN_TOKEN_FILE))
        runner = Runner(server=server, client=client, lock=lock)
        if stopped:
            runner.stop()
        log.info("sync of %s started, server %r at %s", connection.settings_dict["NAME"], name, server.url)
        try:
            runner.run()
        except AlreadyRunningError as error:
            raise CommandError(str(error), returncode=ALREADY_RUNNING) from None
        log.info("sync stopped")

    @staticmethod
    def _check(name: str) -> None:
        """For the health check of a container. CommandError with one line where sync does not do its work."""
        server = LeshanServer.objects.filter(name=name).first()
        if server is None or server.sync_alive_at is None or timezone.now() - server.sync_alive_at > SILENT_AFTER:
            raise CommandError(f"no sync is running for the server {name!r}")
        if server.connected_since is None:
            raise CommandError(server.error or f"not connected to Leshan at {server.url}")

    @staticmethod
    def _open(name: str, stopped: list[int]) -> tuple[LeshanServer, Lock] | None:
        """The server's row and the lock, as soon as the database can be had; None when stopped before."""
        told = False
        while not stopped:
            try:
                if connection.vendor == "sqlite":
                    # before anything is written: a second one must not touch the first one's rows
                    lock = lock_acquire(server=name, server_id=0)
                executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
                if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                    raise CommandError("the database is not up to date: run `manage.py migrate` first")
                server = server_ensure(name=name, url=settings.LESHAN_URL)
                if connection.vendor != "sqlite":
                    lock = lock_acquire(server=name, server_id=server.pk)
            except AlreadyRunningError as error:
                raise CommandError(str(error), returncode=ALREADY_RUNNING) from None
            except OSError as error:
                raise CommandError(f"no lock file beside the database: {error.strerror}: {error.filename}") from None
            except (OperationalError, InterfaceError) as error:
                if not told:
                    log.warning("the database is not available, waiting: %s", str(error).strip())
                    told = True
                connection.close()
                time.sleep(0.5)
            else:
                return server, lock
        return None
