"""Notification attributes (LwM2M Core 1.1, 5.1.2; 1.2 for `epmin` and `epmax`) and the arguments of an Execute."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backend.lwm2m.objects import ResourceDefinition
from backend.lwm2m.paths import path_ids

PERIODS = ("pmin", "pmax", "epmin", "epmax")
# of numbers only, so on resources only
THRESHOLDS = ("gt", "lt", "st")
ATTRIBUTES = (*PERIODS, *THRESHOLDS)
# seconds: what a device's 32-bit counter holds
MAX_PERIOD = 2**31 - 1
NUMERIC = frozenset({"INTEGER", "UNSIGNED_INTEGER", "FLOAT"})

_ARGUMENT = re.compile(r"([0-9])(?:='([\x21\x23-\x26\x28-\x5b\x5d-\x7e]*)')?")


class AttributeInputError(ValueError):
    """Attributes or arguments that no device can take; the message is a sentence."""


def _number(name: str, raw: Any) -> int | float:
    if isinstance(raw, str):
        try:
            raw = float(raw) if re.search(r"[.eE]", raw) else int(raw)
        except ValueError:
            raise AttributeInputError(f"{name}: {raw[:40]!r} is not a number.") from None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise AttributeInputError(f"{name} takes a number, not {str(raw)[:40]}.")
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 2**53:
        return int(raw)
    return raw


def attributes_check(
    attributes: Any, *, path: str = "", definition: ResourceDefinition | None = None, unset: bool = False
) -> dict[str, int | float | None]:
    """The attributes with their values as numbers, in the usual order.

    `path`: where they belong, with `*` for every instance, "" where that is not known. `unset`: None (unset it) is
    allowed. Raises AttributeInputError on an unknown one, a value out of range, periods or thresholds in the wrong
    order, thresholds where there is no number.
    """
    if not isinstance(attributes, Mapping):
        raise AttributeInputError('attributes are an object such as {"pmin": 10, "pmax": 60}.')
    given = {str(name): value for name, value in attributes.items()}
    for name in given:
        if name not in ATTRIBUTES:
            raise AttributeInputError(f"there is no attribute {name[:40]!r}: use {', '.join(ATTRIBUTES)}.")
    result: dict[str, int | float | None] = {}
    for name in ATTRIBUTES:
        if name not in given:
            continue
        if given[name] is None:
            if not unset:
                raise AttributeInputError(f"{name} is null: leave it out instead.")
            result[name] = None
            continue
        value = _number(name, given[name])
        if name in PERIODS and not (isinstance(value, int) and 0 <= value <= MAX_PERIOD):
            raise AttributeInputError(f"{name} is a whole number of seconds from 0 to {MAX_PERIOD}.")
        if name == "st" and value <= 0:
            raise AttributeInputError("st is a step: it must be more than 0.")
        result[name] = value
    for low, high in (("pmin", "pmax"), ("epmin", "epmax")):
        least, most = result.get(low), result.get(high)
        if least is not None and most is not None and most < least:
            raise AttributeInputError(f"{high} ({most} s) is shorter than {low} ({least} s): swap them.")
    _thresholds(path, result, definition)
    return result


def _thresholds(path: str, result: Mapping[str, int | float | None], definition: ResourceDefinition | None) -> None:
    named = [name for name in THRESHOLDS if result.get(name) is not None]
    if not named:
        return
    if path and path_ids(path.replace("*", "0"))[2] is None:
        raise AttributeInputError(f"{named[0]} belongs to a resource; {path} is none.")
    if definition is not None and definition.type and definition.type not in NUMERIC:
        raise AttributeInputError(f"{named[0]} belongs to a number; {definition.name} is {definition.type}.")
    lower, greater, step = result.get("lt"), result.get("gt"), result.get("st")
    if lower is not None and greater is not None and lower + 2 * (step or 0) >= greater:
        raise AttributeInputError("lt plus twice st must be less than gt (LwM2M Core 1.1, 5.1.2).")


def attribute_text(value: float) -> str:
    """The value as it stands in a query: decimal, without an exponent."""
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")


def execute_arguments(text: str) -> str:
    """The arguments of an Execute: `0='a',1`, digits 0 to 9 with or without a quoted text (LwM2M Core 1.1, 6.3.5).

    Raises AttributeInputError.
    """
    said = text.strip()
    if not said:
        return ""
    seen: set[str] = set()
    position = 0
    while True:
        match = _ARGUMENT.match(said, position)
        if match is None:
            raise AttributeInputError(
                f"{said[:60]!r}: arguments look like 0='a',1 - digits 0 to 9, each with or without a text in single "
                "quotes; such a text holds no blanks, quotes or backslashes."
            )
        if match[1] in seen:
            raise AttributeInputError(f"argument {match[1]} is given twice.")
        seen.add(match[1])
        position = match.end()
        if position == len(said):
            return said
        if said[position] != ",":
            raise AttributeInputError(f"{said[:60]!r}: a comma is missing after argument {match[1]}.")
        position += 1
