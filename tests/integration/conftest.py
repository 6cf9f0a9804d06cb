"""Real servers for tests: `new_stack` for a module that shares one, `stack` for a test that breaks things."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import FLEET_JAR, ROOT, SERVER_JAR, Stack

NewStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database and a CA; every stack begins with a copy."""
    for made in (SERVER_JAR, FLEET_JAR, ROOT / "build" / "static" / "staticfiles.json"):
        assert made.exists(), f"{made.relative_to(ROOT)} is not there: scripts/test makes it"
    stack = Stack(tmp_path_factory.mktemp("template"))
    stack.prepare()
    return stack.data


@pytest.fixture(scope="module")
def new_stack(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStack]:
    """Makes stacks that live as long as the module's tests."""
    with ExitStack() as ends:

        def make(**options: Any) -> Stack:
            stack = Stack(tmp_path_factory.mktemp("stack"), template=template, **options)
            ends.callback(stack.stop)
            return stack

        yield make


@pytest.fixture
def stack(template: Path, tmp_path: Path) -> Iterator[Stack]:
    """A prepared stack (database, CA) with nothing started."""
    one = Stack(tmp_path / "stack", template=template)
    try:
        yield one
    finally:
        one.stop()
