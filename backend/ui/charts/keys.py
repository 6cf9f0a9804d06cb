"""How a series is named in an address: the endpoint, then the path (`sim-1/3303/0/5700`)."""

import re
from typing import NamedTuple

from backend.lwm2m.paths import series_readings

# of one chart
MAX_SERIES = 24
# of one page or dashboard
MAX_CHARTS = 12
_PARAMETER = re.compile(r"s([2-9]|1[0-2])?", re.ASCII)


class SeriesKey(NamedTuple):
    """A device's endpoint name and a path in it."""

    endpoint: str
    path: str

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.endpoint}{self.path}"


def readings(text: str) -> list[SeriesKey]:
    """What the text may mean, the likelier first; [] where it does not end in the path of a resource."""
    return [SeriesKey(*one) for one in series_readings(text)]


def chart_number(parameter: str) -> int | None:
    """Which chart a parameter of an address is about: `s` the first (1), `s2` the second …; None: not about one."""
    match = _PARAMETER.fullmatch(parameter)
    return None if match is None else int(match[1] or 1)
