"""Own object definitions, brought to Leshan: what it has is compared by SHA-256 with what the database wants."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from backend.sync.client import LeshanClient
from backend.sync.exceptions import BadRequestError, NotFoundError
from backend.sync.work import DefinitionsDone, Outcome, Step

STOCK = "This Leshan server takes no object definitions: FlowNexus's own is needed"


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """A definition as the database has it."""

    id: int
    object_id: int
    version: str
    xml: str
    problem: str


@dataclass(frozen=True, slots=True)
class PushDefinitions(Step):
    """Makes the definitions that were given to Leshan exactly these."""

    wanted: Sequence[DefinitionRow]

    def run(self, client: LeshanClient) -> Outcome | None:
        """What was changed, and why a file is refused."""
        try:
            present = client.models()
        except NotFoundError:
            return DefinitionsDone({row.id: STOCK for row in self.wanted}, frozenset())
        problems: dict[int, str] = {}
        changed: set[int] = set()
        wanted = {(row.object_id, row.version) for row in self.wanted}
        removed = frozenset(present.keys() - wanted)
        for object_id, version in sorted(removed):
            client.model_delete(object_id, version)
            changed.add(object_id)
        for row in self.wanted:
            xml = row.xml.encode()
            if present.get((row.object_id, row.version)) == hashlib.sha256(xml).hexdigest():
                problems[row.id] = ""
                continue
            try:
                client.model_put(row.object_id, row.version, xml)
            except BadRequestError as error:
                problems[row.id] = error.said or str(error)
            else:
                problems[row.id] = ""
                changed.add(row.object_id)
        return DefinitionsDone(problems, frozenset(changed), removed)

    def failed(self, error: Exception) -> Outcome | None:
        """So that they are pushed again."""
        return DefinitionsDone({}, frozenset(), error=str(error) or type(error).__name__)
