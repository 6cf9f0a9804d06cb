"""Benchmarks: a module each, with a DESCRIPTION and `run(argv) -> Result`; `scripts/bench NAME` calls them."""

from dataclasses import dataclass, field

Figure = int | float | str


@dataclass
class Result:
    """What a benchmark found. Figures are named `what_unit`; `failures` are the promises that were not kept."""

    title: str
    figures: dict[str, Figure]
    failures: list[str] = field(default_factory=list)
