"""Object definitions that people add."""

from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Status
from ninja.errors import HttpError
from ninja.params.functions import Body

from backend.api import control_schemas as schemas
from backend.api.auth import administrator
from backend.api.base import ERRORS, api, person
from backend.api.parameters import strict
from backend.devices.models import ObjectDefinition
from backend.devices.selectors import definition_get, definition_list
from backend.devices.services import DefinitionError, definition_delete, definition_upload
from backend.lwm2m.paths import MAX_ID


def _shape(definition: ObjectDefinition) -> dict[str, Any]:
    return {
        "object": definition.object_id,
        "version": definition.version,
        "name": definition.name,
        "sha256": definition.sha256,
        "uploaded_at": definition.uploaded_at,
        "uploaded_by": definition.uploaded_by.username if definition.uploaded_by else None,
        "problem": definition.problem,
    }


def _or_404(object_id: int, version: str) -> ObjectDefinition:
    missing = f"Nobody uploaded a definition of object {object_id} in version {version[:16]!r}."
    if object_id > MAX_ID or "\0" in version:
        raise Http404(missing)
    try:
        return definition_get(object_id=object_id, version=version)
    except ObjectDefinition.DoesNotExist:
        raise Http404(missing) from None


@api.get(
    "/definitions", response={200: schemas.Definitions, **ERRORS}, summary="Own object definitions", tags=["objects"]
)
@strict()
def definitions(request: HttpRequest) -> dict[str, Any]:
    """Those that people uploaded; they go before bundled ones of the same version."""
    return {"items": [_shape(one) for one in definition_list()]}


@api.post(
    "/definitions",
    auth=administrator,
    response={201: schemas.Definition, **ERRORS},
    summary="Upload an object definition",
    tags=["objects"],
)
@strict()
def definition_add(request: HttpRequest, body: Annotated[schemas.DefinitionBody, Body()]) -> Status[dict[str, Any]]:
    """A DDF file, in place of an earlier upload of that object and version. Pages and Leshan use it at once."""
    try:
        return Status(201, _shape(definition_upload(xml=body.xml.encode(), by=person(request))))
    except DefinitionError as error:
        raise HttpError(400, str(error)) from None


@api.get(
    "/definitions/{int:object_id}/{version}",
    response={200: schemas.DefinitionDetail, **ERRORS},
    summary="An object definition",
    tags=["objects"],
)
@strict()
def definition(request: HttpRequest, object_id: int, version: str) -> dict[str, Any]:
    """With its file."""
    found = _or_404(object_id, version)
    return {**_shape(found), "xml": found.xml}


@api.delete(
    "/definitions/{int:object_id}/{version}",
    auth=administrator,
    response={200: schemas.Definitions, **ERRORS},
    summary="Remove an object definition",
    tags=["objects"],
)
@strict()
def definition_remove(request: HttpRequest, object_id: int, version: str) -> dict[str, Any]:
    """The bundled one of that version comes back, where there is one."""
    found = _or_404(object_id, version)
    definition_delete(object_id=found.object_id, version=found.version)
    return {"items": [_shape(one) for one in definition_list()]}
