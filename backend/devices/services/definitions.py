"""Object definitions that people add."""

import hashlib

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.devices.models import ObjectDefinition
from backend.devices.services.objectspecs import objectspecs_doubt, objectspecs_store
from backend.lwm2m.ddf import DdfError, ddf_parse


class DefinitionError(ValueError):
    """The file is of no use; the message says where and why."""


@transaction.atomic
def definition_upload(*, xml: bytes, by: User | None) -> ObjectDefinition:
    """Adds the definition in a DDF file, in place of an earlier upload of that object and version.

    Pages know it at once; `sync` brings it to Leshan and writes `problem` where Leshan refuses it.
    Raises DefinitionError.
    """
    try:
        definition = ddf_parse(xml)
        text = xml.decode("utf-8-sig")
    except DdfError as error:
        raise DefinitionError(str(error)) from None
    except UnicodeDecodeError:
        raise DefinitionError("The file is not in UTF-8: save it in UTF-8 (and let its first line say so).") from None
    now = timezone.now()
    row, _ = ObjectDefinition.objects.update_or_create(
        object_id=definition.object_id,
        version=definition.version,
        defaults={
            "name": definition.name,
            "xml": text,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "uploaded_at": now,
            "uploaded_by": by,
            "problem": "",
        },
    )
    objectspecs_store(specs=[definition.spec], at=now)
    return row


@transaction.atomic
def definition_delete(*, object_id: int, version: str) -> None:
    """Removes an uploaded definition; the bundled one of that version, where there is one, comes back with `sync`.

    Until `sync` has asked Leshan, pages go on with what they know. Raises ObjectDefinition.DoesNotExist.
    """
    deleted, _ = ObjectDefinition.objects.filter(object_id=object_id, version=version).delete()
    if not deleted:
        raise ObjectDefinition.DoesNotExist
    objectspecs_doubt(pairs=[(object_id, version)])
