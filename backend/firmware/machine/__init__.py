"""What a firmware update does next (docs/firmware.md): pure rules, no database and no clock.

`decide` takes everything that is known and says what to write and what to ask. It is called again with every piece of
news; whatever it needs to remember is in the row, so that any process may be restarted at any time.

Three rules stand above all others. What a device says in answer to a read that was asked *after* something happened
decides; what it notified only makes us ask. The package is executed only when State 2 was read in the present
registration, and a second time only when State 2 was read a minute or more after the first. No timer runs while the
LwM2M server is away.
"""

from backend.firmware.machine.constants import VERSION
from backend.firmware.machine.decide import decide
from backend.firmware.machine.figures import rate
from backend.firmware.machine.vocabulary import Asked, Asking, Decision, Image, Limits, Row, Said, Session, View

__all__ = [
    "VERSION",
    "Asked",
    "Asking",
    "Decision",
    "Image",
    "Limits",
    "Row",
    "Said",
    "Session",
    "View",
    "decide",
    "rate",
]
