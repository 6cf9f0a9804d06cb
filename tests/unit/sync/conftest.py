from collections.abc import Callable

import pytest

from backend.devices.models import LeshanServer
from backend.devices.services import server_ensure
from backend.sync.decoder import Decoder
from backend.sync.events import Item
from backend.sync.ingest import Ingest, Stored
from tests.unit.sync.samples import REGISTERED_AT

# when batches are received, unless a test says otherwise: ten seconds after the registration
RECEIVED = REGISTERED_AT + 10_000_000


@pytest.fixture
def server(db: None) -> LeshanServer:
    return server_ensure(name="default", url="http://127.0.0.1:1")


Store = Callable[..., Stored]


@pytest.fixture
def ingest(server: LeshanServer) -> Ingest:
    return Ingest(server.pk)


@pytest.fixture
def store(ingest: Ingest) -> Store:
    """Takes bytes of a stream, or items, and stores them as one batch."""

    def run(*parts: bytes | Item, received: int = RECEIVED) -> Stored:
        items: list[Item] = []
        for part in parts:
            items += Decoder().feed(part) if isinstance(part, bytes) else [part]
        return ingest.store(items, received=received)

    return run
