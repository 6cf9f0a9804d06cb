"""Messages that were kept raw, tried once more when Leshan has got other object definitions.

Used by the writer's thread only, but for the step.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from backend.sync import queries
from backend.sync.client import LeshanClient
from backend.sync.decoder import decoded_readings
from backend.sync.desired import Retry
from backend.sync.events import Redecoded
from backend.sync.exceptions import AnswerTimeoutError, BadRequestError, NotFoundError, RequestFailedError
from backend.sync.work import DecodingDone, DefinitionsDone, Job, Outcome, Step

log = logging.getLogger(__name__)

# messages of one job: the memory that they take meanwhile
BATCH_BYTES = 8 * 1024 * 1024
BATCH = 200
# what the server needs of the event, by its names there
_FIELDS = ("contentFormat", "hex", "paths", "time", "rootPath", "objectLinks")


@dataclass(frozen=True, slots=True)
class DecodeAgain(Step):
    """One message."""

    raw_id: int
    endpoint: str
    data: bytes

    def run(self, client: LeshanClient) -> Outcome | None:
        """What can be read of it now; nothing where it still cannot."""
        try:
            event = orjson.loads(self.data)
            received = int(event["time"])
            message = {name: event[name] for name in _FIELDS if name in event}
            if "paths" not in message and "path" in event:
                message["paths"] = [event["path"]]
            answer = client.decode(self.endpoint, message)
            readings = decoded_readings({**answer, "ep": self.endpoint, "time": received})
        except (AnswerTimeoutError, BadRequestError, NotFoundError, RequestFailedError) as error:
            log.debug("message %d of %s: %s", self.raw_id, self.endpoint, error)
            return None
        except (KeyError, ValueError, TypeError) as error:
            # cut because it was too long, or from before the server told all that is needed
            log.debug("message %d of %s cannot be tried again: %s", self.raw_id, self.endpoint, error)
            return None
        whole = not answer.get("errors") and not answer.get("guessed")
        return Redecoded(self.raw_id, self.endpoint, readings, received * 1000, whole) if readings or whole else None


@dataclass(frozen=True, slots=True)
class BatchEnds(Step):
    """Behind the last message of a batch."""

    def run(self, client: LeshanClient) -> Outcome | None:
        """So that the next batch is made."""
        return DecodingDone()

    def failed(self, error: Exception) -> Outcome | None:
        """The same."""
        return DecodingDone()


class Redecoding:
    """Goes through all messages that are still raw, a batch at a time."""

    def __init__(self, *, retry: Retry, submit: Callable[[Job], None], server_id: int) -> None:
        """`submit` takes the requests to make."""
        self._retry = retry
        self._submit = submit
        self._server_id = server_id
        # the last message of the batch that is under way; None: nothing is
        self._after: int | None = None
        self._again = False
        self._begun = False

    def definitions(self, done: DefinitionsDone) -> None:
        """Begins where Leshan has got other definitions, and once after the start: the last time was cut off, maybe."""
        if done.changed or not (done.error or self._begun):
            self.start()

    def start(self) -> None:
        """Begins anew, or once more when it is through."""
        self._begun = True
        if self._after is not None:
            self._again = True
            return
        self._after = 0
        self.next()

    def next(self) -> None:
        """The batch is over, or there was none: makes the next one."""
        after = self._after or 0
        rows = self._retry(
            lambda: queries.messages_undecoded(
                server_id=self._server_id, after=after, limit=BATCH, limit_bytes=BATCH_BYTES
            )
        )
        if not rows:
            self._after = None
            if self._again:
                self._again = False
                self.start()
            return
        self._after = rows[-1][0]
        steps: deque[Step] = deque(DecodeAgain(*row) for row in rows)
        steps.append(BatchEnds())
        self._submit(Job("messages kept raw", steps))
