"""How a series is named in an address: the endpoint, then the path (`sim-1/3303/0/5700`)."""

import re
from typing import NamedTuple

from backend.lwm2m.paths import PathError, resource_ids

# of one chart
MAX_SERIES = 24
# of one page or dashboard
MAX_CHARTS = 12
_ENDED_BY = (
    # a resource, then a resource instance
    re.compile(r"(.+?)((?:/\d{1,5}){3})", re.DOTALL | re.ASCII),
    re.compile(r"(.+?)((?:/\d{1,5}){4})", re.DOTALL | re.ASCII),
)
_PARAMETER = re.compile(r"s([2-9]|1[0-2])?", re.ASCII)


class SeriesKey(NamedTuple):
    """A device's endpoint name and a path in it."""

    endpoint: str
    path: str

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.endpoint}{self.path}"


def readings(text: str) -> list[SeriesKey]:
    """What the text may mean, the likelier first; [] where it does not end in the path of a resource.

    Endpoint names may hold slashes and numbers themselves: `meter/3/0/6/0` is `/3/0/6/0` of `meter`, or `/0/6/0` of
    `meter/3`. Which of them there is, the database knows.
    """
    found: list[SeriesKey] = []
    try:
        text.encode()
    except UnicodeEncodeError:
        # half a character: no name has it, and no database can be asked for it
        return found
    for pattern in () if "\0" in text else reversed(_ENDED_BY):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        try:
            resource_ids(match[2])
        except PathError:
            continue
        found.append(SeriesKey(match[1], match[2]))
    return found


def chart_number(parameter: str) -> int | None:
    """Which chart a parameter of an address is about: `s` the first (1), `s2` the second …; None: not about one."""
    match = _PARAMETER.fullmatch(parameter)
    return None if match is None else int(match[1] or 1)
