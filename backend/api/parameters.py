"""Query parameters: times in two notations, and no parameter that is silently ignored."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from ninja.errors import HttpError
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from backend.lwm2m.times import us_of_text

Operation = TypeVar("Operation", bound=Callable[..., Any])

# what a database column for microseconds holds
LIMIT = 2**63 - 1
_NUMBER = re.compile(r"-?\d{1,17}(\.\d{1,9})?", re.ASCII)


def microseconds(text: Any) -> int:
    """ISO 8601 (UTC where it names no zone) or milliseconds since 1970 → microseconds since 1970. Raises ValueError."""
    text = str(text).strip()
    if _NUMBER.fullmatch(text):
        whole, _, fraction = text.partition(".")
        value = int(whole) * 1000
        value += int((fraction + "000")[:3]) * (-1 if whole.startswith("-") else 1)
        if abs(value) > LIMIT:
            raise ValueError("this time is too far away")
        return value
    try:
        return us_of_text(text)
    except ValueError:
        raise ValueError(
            "use a time such as 2026-11-22T17:00:00Z, or milliseconds since 1970 such as 1795366800000"
        ) from None


Moment = Annotated[
    int,
    BeforeValidator(microseconds),
    WithJsonSchema({"type": "string", "description": "ISO 8601, or milliseconds since 1970"}),
]


def strict(*known: str) -> Callable[[Operation], Operation]:
    """Refuse (400) query parameters that the operation does not know, such as a mistyped filter."""

    def check(request: HttpRequest) -> None:
        unknown = sorted(set(request.GET) - set(known))
        if unknown:
            what = f"this takes {', '.join(known)}" if known else "this takes none"
            raise HttpError(400, f"unknown parameter {unknown[0]!r}: {what}")

    def decorate(operation: Operation) -> Operation:
        if iscoroutinefunction(operation):

            @wraps(operation)
            async def checked_async(request: HttpRequest, **values: Any) -> Any:
                check(request)
                return await operation(request, **values)

            return cast(Operation, checked_async)

        @wraps(operation)
        def checked(request: HttpRequest, **values: Any) -> Any:
            check(request)
            return operation(request, **values)

        return cast(Operation, checked)

    return decorate


def _storable(text: str) -> str:
    """Texts from JSON may hold what no database keeps. Raises ValueError."""
    if "\0" in text:
        raise ValueError("this holds the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("this holds half a character (a lone surrogate)") from None
    return text


# a text in a body
Text = Annotated[str, AfterValidator(_storable)]
