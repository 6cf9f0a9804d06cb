"""A package's transfer as a request to Leshan."""

from backend.commands.models import Command, Kind
from backend.sync.calls import REQUEST_SECONDS, call_of, seconds_of

HASH = "ab" * 32


def test_a_package_is_named_and_not_carried() -> None:
    arguments = {"sha256": HASH, "size": 64 * 2**20, "seconds": 90_000}
    command = Command(kind=Kind.WRITE_PACKAGE, path="/5/1/0", arguments=arguments)
    call = call_of(command)
    assert (call.method, call.target) == ("PUT", f"/5/1/0?package={HASH}&timeout=90000")
    assert (call.body, call.content_type, call.seconds) == (b"", "application/octet-stream", 90_000)


def test_other_commands_have_the_usual_time() -> None:
    command = Command(kind=Kind.EXECUTE, path="/5/0/2", arguments={})
    assert call_of(command).seconds == seconds_of(command) == REQUEST_SECONDS
