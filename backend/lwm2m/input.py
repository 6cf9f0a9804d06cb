"""What people type, as values of LwM2M nodes, and back; and what the object models say of the values they take.

A node's value is as Leshan's JSON has it: INTEGER, UNSIGNED_INTEGER and FLOAT text, BOOLEAN a JSON boolean, TIME
milliseconds since 1970, OPAQUE lower-case hex, OBJLNK an object of two ids, STRING and CORELNK text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

from backend.lwm2m.objects import ResourceDefinition
from backend.lwm2m.paths import MAX_ID
from backend.lwm2m.times import EPOCH
from backend.lwm2m.values import NULL_LINK, TYPES, canonical_text, pair

INTEGER_RANGE = (-(2**63), 2**63 - 1)
UNSIGNED_RANGE = (0, 2**64 - 1)
# milliseconds: the years 1 to 9999, which is what a clock can show
TIME_RANGE = (-62_135_596_800_000, 253_402_300_799_999)
# characters of a label, and entries, that a list of choices shows
LONG_LABEL = 80
MANY_CHOICES = 64

WORDS = {
    "true": True,
    "1": True,
    "on": True,
    "yes": True,
    "false": False,
    "0": False,
    "off": False,
    "no": False,
}


class ValueInputError(ValueError):
    """What was typed is no value of the type; the message is a sentence that says what is."""


class Choice(NamedTuple):
    """One value of an enumeration."""

    # as it is typed: "0"
    value: str
    # what it means, "" where the model does not say
    label: str


@dataclass(frozen=True, slots=True)
class ValueRange:
    """What values a model allows. None: no bound, or none that a program understands."""

    # as the model's author wrote it
    text: str
    # of numbers
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    # of texts and opaque values: their length in bytes
    shortest: int | None = None
    longest: int | None = None


# -- what models say

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:\^\d+)?(?:\s*-\s*1)?"
_RANGE = re.compile(rf"\[?\s*({_NUMBER})\s*(?:\.\.+|…|:|\bto\b|-|\u2013)\s*({_NUMBER})\s*\]?", re.ASCII)
_LENGTH = re.compile(
    r"(\d+)(?:\s*(?:\.\.+|…|to|-|\u2013)\s*(\d+))?\s*(?:bytes?|B|octets?|characters?)", re.ASCII | re.I
)
# "0: off", "0=off", "0 - off", "0. off", at the beginning of a line or after a separator
_ITEM = re.compile(r"(?:^|[\n;•|])[\s•*-]*(-?\d{1,6})\s*(?:[:=.)]|\s[-\u2013]\s)\s*(?=\d?[^\W\d_]|[\"'(<>])", re.M)
# the same all in one line: only the unmistakable signs
_INLINE = re.compile(r"(?<![\w.:-])(-?\d{1,6})\s*[:=]\s*(?=\d?[^\W\d_])")


def _decimal(text: str) -> Decimal | None:
    """ "100", "-1.5", "2^32-1"; None for anything else."""
    text = text.replace(" ", "")
    minus_one = "^" in text and text.endswith("-1")
    base, _, power = text.removesuffix("-1" if minus_one else "").partition("^")
    try:
        if power:
            value = Decimal(int(base) ** int(power)) if int(power) <= 128 and abs(int(base)) <= 10 else None
        else:
            value = Decimal(base)
    except (InvalidOperation, ValueError):
        return None
    return value - 1 if value is not None and minus_one else value


@lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[Decimal, Decimal] | None:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first, second = _decimal(match[1]), _decimal(match[2])
    if first is None or second is None:
        return None
    # some authors begin with the strong end: "-30..-120"
    return min(first, second), max(first, second)


def value_range(definition: ResourceDefinition | None) -> ValueRange | None:
    """What the model says of the resource's values; None where it says nothing.

    Lengths are only taken from a text that names bytes or characters: "0..255" of a string is as often a number.
    """
    if definition is None or not definition.range.strip():
        return None
    text = " ".join(definition.range.split())
    if definition.type in {"INTEGER", "UNSIGNED_INTEGER", "FLOAT", "TIME"}:
        numbers = _numbers(text)
        return ValueRange(text, *numbers) if numbers else ValueRange(text)
    if definition.type in {"STRING", "OPAQUE"} and (match := _LENGTH.fullmatch(text)):
        first = int(match[1])
        return ValueRange(
            text,
            shortest=first if match[2] is None else min(first, int(match[2])),
            longest=first if match[2] is None else max(first, int(match[2])),
        )
    return ValueRange(text)


def _label(text: str) -> str:
    """The first line of what follows a number, without the sign before the next one."""
    line = re.split(r"[\n;|•]", text, maxsplit=1)[0].strip(" \t,.-\u2013")
    return line if len(line) <= LONG_LABEL else line[: LONG_LABEL - 1] + "…"


def _items(text: str, pattern: re.Pattern[str]) -> tuple[Choice, ...]:
    found = list(pattern.finditer(text))
    choices: list[Choice] = []
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        choices.append(Choice(str(int(match[1])), _label(text[match.end() : end])))
    values = [int(choice.value) for choice in choices]
    if not 2 <= len(values) <= MANY_CHOICES or values != sorted(set(values)):
        return ()
    return tuple(choices) if all(choice.label for choice in choices) else ()


@lru_cache(maxsize=4096)
def _choices(text: str) -> tuple[Choice, ...]:
    return _items(text, _ITEM) or _items(text, _INLINE)


@lru_cache(maxsize=4096)
def _listed(text: str) -> tuple[Choice, ...]:
    """ "0,1,2": values without labels."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 2 or not all(re.fullmatch(r"-?\d{1,6}", part, re.ASCII) for part in parts):
        return ()
    return tuple(Choice(str(int(part)), "") for part in parts)


def _closed(definition: ResourceDefinition) -> tuple[Choice, ...]:
    """The choices that the range names: there are no others."""
    if definition.type not in {"INTEGER", "UNSIGNED_INTEGER"}:
        return ()
    return _choices(definition.range) or _listed(definition.range)


def enumeration(definition: ResourceDefinition | None) -> tuple[Choice, ...]:
    """The values of an integer that its model explains one by one, in the model's order; () where it does not.

    From the range they are all that there are (`enumeration_closed`); a description may leave some out.
    """
    if definition is None or definition.type not in {"INTEGER", "UNSIGNED_INTEGER"}:
        return ()
    closed = _closed(definition)
    if closed and any(choice.label for choice in closed):
        return closed
    described = _choices(definition.description)
    if closed:
        labels = {choice.value: choice.label for choice in described}
        return tuple(Choice(choice.value, labels.get(choice.value, "")) for choice in closed)
    numbers = _numbers(" ".join(definition.range.split()))
    if numbers:
        # an example in the text that lies outside the range is no choice
        return tuple(one for one in described if numbers[0] <= int(one.value) <= numbers[1])
    return described


def enumeration_closed(definition: ResourceDefinition | None) -> bool:
    """Are the choices of `enumeration` all that the model allows?"""
    return definition is not None and bool(_closed(definition))


# -- from text


def _short(text: Any) -> str:
    said = str(text)
    return repr(said if len(said) <= 40 else said[:39] + "…")


def _whole(text: str, bounds: tuple[int, int]) -> str:
    digits = text.strip()
    if not re.fullmatch(r"[-+]?\d{1,20}", digits, re.ASCII):
        raise ValueInputError(f"{_short(text)} is not a whole number such as 42.")
    value = int(digits)
    if not bounds[0] <= value <= bounds[1]:
        raise ValueInputError(f"{value} does not fit: this takes {bounds[0]} to {bounds[1]}.")
    return str(value)


def _float(text: str) -> str:
    said = text.strip()
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?", said, re.ASCII):
        hint = " (with a point, not a comma)" if "," in said else ""
        raise ValueInputError(f"{_short(text)} is not a number such as 21.5{hint}.")
    number = float(said)
    if not math.isfinite(number):
        raise ValueInputError(f"{_short(text)} is too large for a float.")
    return canonical_text("FLOAT", *pair("FLOAT", number))


def _boolean(text: str) -> bool:
    try:
        return WORDS[text.strip().lower()]
    except KeyError:
        raise ValueInputError(f"{_short(text)} is neither true nor false.") from None


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueInputError("A text cannot hold the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueInputError("The text holds half a character (a lone surrogate).") from None
    return text


def _opaque(text: str) -> str:
    digits = re.sub(r"[\s:]", "", text)
    digits = digits[2:] if digits[:2] in {"0x", "0X"} else digits
    if not re.fullmatch(r"[0-9a-fA-F]*", digits):
        raise ValueInputError(f"{_short(text)} is not hex such as 01 ff a0.")
    if len(digits) % 2:
        raise ValueInputError(f"{_short(text)} is half a byte short: hex has two digits a byte.")
    return digits.lower()


def _time(text: str) -> int:
    said = text.strip()
    if re.fullmatch(r"-?\d{1,17}", said, re.ASCII):
        value = int(said)
    else:
        try:
            moment = datetime.fromisoformat(said)
        except ValueError:
            raise ValueInputError(
                f"{_short(text)} is not a time such as 2026-11-22T17:00:00Z, or milliseconds since 1970."
            ) from None
        if moment.tzinfo is None:
            raise ValueInputError(f"{_short(text)} names no zone: write 2026-11-22T17:00:00Z or …+01:00.")
        value = (moment - EPOCH) // timedelta(milliseconds=1)
    if not TIME_RANGE[0] <= value <= TIME_RANGE[1]:
        raise ValueInputError(f"{_short(text)} is outside the years 1 to 9999.")
    return value


def _objlnk(text: str) -> dict[str, Any]:
    said = text.strip()
    if said.lower() in {"", "null", NULL_LINK}:
        return {"objectId": MAX_ID, "objectInstanceId": MAX_ID, "nullLink": True}
    match = re.fullmatch(r"/?(\d{1,5})[:/](\d{1,5})", said, re.ASCII)
    if match is None or any(int(part) > MAX_ID for part in match.groups()):
        raise ValueInputError(f"{_short(text)} is not an object link such as 3:0 (object:instance), or null.")
    return {"objectId": int(match[1]), "objectInstanceId": int(match[2]), "nullLink": False}


def _corelnk(text: str) -> str:
    said = _string(text).strip()
    if said and not re.fullmatch(r"<[^<>]*>.*", said, re.S):
        raise ValueInputError(f"{_short(text)} is not a CoRE link such as </3303/0>;pmin=10.")
    return said


def _text(raw: Any, type_: str) -> str:
    """A JSON value as the text that a person would have typed for it."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        if type_ == "BOOLEAN":
            return "true" if raw else "false"
    elif isinstance(raw, int):
        if type_ != "STRING":
            return str(raw)
    elif isinstance(raw, float):
        if type_ == "FLOAT":
            return repr(raw)
        if type_ in {"INTEGER", "UNSIGNED_INTEGER", "TIME"} and raw.is_integer():
            return str(int(raw))
    elif isinstance(raw, Mapping) and type_ == "OBJLNK":
        return NULL_LINK if raw.get("nullLink") is True else f"{raw.get('objectId')}:{raw.get('objectInstanceId')}"
    elif raw is None and type_ == "OBJLNK":
        return ""
    raise ValueInputError(f"{_short(raw)} is no {type_} value.")


def node_value(type_: str, text: Any, *, definition: ResourceDefinition | None = None) -> Any:
    """A typed text (or a JSON value) as a node's value.

    `type_` in capitals. `definition`: its range and enumeration are held too. Raises ValueInputError.
    """
    if type_ not in TYPES:
        raise ValueInputError(f"there is no type {_short(type_)}: use one of {', '.join(sorted(TYPES))}.")
    said = _text(text, type_)
    value: Any
    if type_ == "INTEGER":
        value = _whole(said, INTEGER_RANGE)
    elif type_ == "UNSIGNED_INTEGER":
        value = _whole(said, UNSIGNED_RANGE)
    elif type_ == "FLOAT":
        value = _float(said)
    elif type_ == "BOOLEAN":
        value = _boolean(said)
    elif type_ == "TIME":
        value = _time(said)
    elif type_ == "OPAQUE":
        value = _opaque(said)
    elif type_ == "OBJLNK":
        value = _objlnk(said)
    elif type_ == "CORELNK":
        value = _corelnk(said)
    else:
        value = _string(said)
    if definition is not None and definition.type == type_:
        _held(type_, value, definition)
    return value


def _held(type_: str, value: Any, definition: ResourceDefinition) -> None:
    """Raises ValueInputError where the value is not one that the model allows."""
    choices = _closed(definition)
    if choices:
        if str(value) not in {choice.value for choice in choices}:
            said = ", ".join(
                f"{one.value} ({one.label})" if one.label else one.value for one in enumeration(definition)
            )
            raise ValueInputError(f"{value} is none of the values that the object model allows: {said}.")
        return
    allowed = value_range(definition)
    if allowed is None:
        return
    if allowed.minimum is not None and allowed.maximum is not None:
        number = Decimal(str(value))
        if not allowed.minimum <= number <= allowed.maximum:
            raise ValueInputError(f"{value} is outside {allowed.text}, which the object model allows.")
    if allowed.shortest is not None and allowed.longest is not None:
        size = len(value) // 2 if type_ == "OPAQUE" else len(str(value).encode())
        if not allowed.shortest <= size <= allowed.longest:
            raise ValueInputError(f"{size} bytes do not fit: the object model allows {allowed.text}.")


def multiple_ids(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """`{id: value}` of a multi-instance resource in the order of ids. Raises ValueInputError on what is no id."""
    numbered: dict[int, Any] = {}
    for key, value in values.items():
        said = str(key).strip()
        if not re.fullmatch(r"\d{1,5}", said, re.ASCII) or int(said) > MAX_ID - 1:
            raise ValueInputError(f"{_short(key)} is not the number of a resource instance: 0 to {MAX_ID - 1}.")
        if int(said) in numbered:
            raise ValueInputError(f"resource instance {int(said)} is given twice.")
        numbered[int(said)] = value
    for number in sorted(numbered):
        yield str(number), numbered[number]


def multiple_values(
    type_: str, values: Mapping[Any, Any], *, definition: ResourceDefinition | None = None
) -> dict[str, Any]:
    """`{id: text}` of a multi-instance resource as a node's `values`. Raises ValueInputError, naming the id."""
    result: dict[str, Any] = {}
    for number, text in multiple_ids(values):
        try:
            result[number] = node_value(type_, text, definition=definition)
        except ValueInputError as error:
            raise ValueInputError(f"instance {number}: {error}") from None
    return result


# -- back to text


def value_text(type_: str, value: Any) -> str:
    """A node's value as it would be typed: the inverse of `node_value`. Raises NodeError on what is no such value."""
    return typed_text(type_, canonical_text(type_, *pair(type_, value)))


def typed_text(type_: str, canonical: str) -> str:
    """A canonical text (backend.lwm2m.values) as it would be typed: times in ISO 8601, null links as "null"."""
    if type_ == "TIME":
        milliseconds = int(canonical)
        try:
            moment = EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError:
            return canonical
        text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
        return text.replace("+00:00", "Z")
    if type_ == "OBJLNK" and canonical == NULL_LINK:
        return "null"
    return canonical
