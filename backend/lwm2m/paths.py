"""LwM2M paths: `/object[/instance[/resource[/resource instance]]]` (LwM2M Core 1.1, 7.1)."""

import re
from dataclasses import dataclass
from functools import lru_cache

# 65535 is reserved (MAX_ID), but Leshan and some devices list it; it is refused nowhere else either
MAX_ID = 65535
_PATH = re.compile(r"/(0|[1-9]\d{0,4})(?:/(0|[1-9]\d{0,4})(?:/(0|[1-9]\d{0,4})(?:/(0|[1-9]\d{0,4}))?)?)?", re.ASCII)

PathIds = tuple[int, int | None, int | None, int | None]
ResourceIds = tuple[int, int, int, int | None]


class PathError(ValueError):
    """A text that is not an LwM2M path."""


@lru_cache(maxsize=65536)
def path_ids(text: str) -> PathIds:
    """The path's ids (object, instance, resource, resource instance), None where the path ends before.

    Raises PathError. Cached: the hot path asks for the same few thousand paths again and again.
    """
    match = _PATH.fullmatch(text)
    if match is None:
        raise PathError(f"{text[:64]!r} is not an LwM2M path such as /3303/0/5700")
    ids = [None if part is None else int(part) for part in match.groups()]
    if any(part is not None and part > MAX_ID for part in ids):
        raise PathError(f"{text!r}: ids go up to {MAX_ID}")
    assert ids[0] is not None
    return ids[0], ids[1], ids[2], ids[3]


@lru_cache(maxsize=65536)
def resource_ids(text: str) -> ResourceIds:
    """As `path_ids`, for a path that names a resource or a resource instance. Raises PathError on a shorter one."""
    object_id, instance_id, resource_id, resource_instance_id = path_ids(text)
    if instance_id is None or resource_id is None:
        raise PathError(f"{text!r} names no resource")
    return object_id, instance_id, resource_id, resource_instance_id


def series_readings(text: str) -> list[tuple[str, str]]:
    """What `ENDPOINT/3303/0/5700` may mean, as (endpoint, path), the likelier first; [] where it ends in no resource.

    Endpoint names may hold slashes and numbers themselves: `meter/3/0/6/0` is `/3/0/6/0` of `meter`, or `/0/6/0` of
    `meter/3`. Which of them there is, the database knows.
    """
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        # NUL, or half a character: no name has it, and no database can be asked for it
        return []
    found: list[tuple[str, str]] = []
    # a resource instance, a resource
    for count in (4, 3):
        endpoint, *parts = text.rsplit("/", count)
        path = "/" + "/".join(parts)
        try:
            resource_ids(path)
        except PathError:
            continue
        # of a text with fewer slashes, too little is left of it
        if endpoint and len(parts) == count:
            found.append((endpoint, path))
    return found


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """A path to an object, an object instance, a resource or a resource instance."""

    object_id: int
    instance_id: int | None = None
    resource_id: int | None = None
    resource_instance_id: int | None = None

    def __post_init__(self) -> None:
        """Raises PathError on ids out of range or with a hole between them."""
        ids = (self.object_id, self.instance_id, self.resource_id, self.resource_instance_id)
        ended = False
        for part in ids:
            if part is None:
                ended = True
            elif ended or not 0 <= part <= MAX_ID:
                raise PathError(f"{ids} are not the ids of a path: 0 to {MAX_ID}, none left out")

    @classmethod
    def parse(cls, text: str) -> "Path":
        """From `/3/0/9`. Raises PathError."""
        return cls(*path_ids(text))

    def __str__(self) -> str:
        """`/3/0/9`."""
        ids = (self.object_id, self.instance_id, self.resource_id, self.resource_instance_id)
        return "".join(f"/{part}" for part in ids if part is not None)

    def starts_with(self, other: "Path") -> bool:
        """Is `other` this path or a path above it?"""
        mine = (self.object_id, self.instance_id, self.resource_id, self.resource_instance_id)
        theirs = (other.object_id, other.instance_id, other.resource_id, other.resource_instance_id)
        return all(their is None or my == their for my, their in zip(mine, theirs, strict=True))
