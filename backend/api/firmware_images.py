"""Firmware images, and the keys that they may be signed with."""

from collections.abc import Iterator
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from ninja import Status
from ninja.errors import HttpError, ValidationError
from ninja.params.functions import Body, Query
from pydantic import ValidationError as PydanticError

from backend.accounts.permissions import Permission
from backend.api import image_schemas as schemas
from backend.api import schemas as common
from backend.api.auth import SessionWithRole, administrator, operator
from backend.api.base import ERRORS, api, person
from backend.api.parameters import LIMIT, strict
from backend.config.streaming import download
from backend.devices.models import Profile
from backend.devices.selectors import profile_by_name
from backend.firmware.errors import FirmwareError, InUseError, NoRoomError, TooLargeError
from backend.firmware.models import FirmwareImage, SigningKey
from backend.firmware.selectors.images import image_get, image_list, signing_key_get, signing_key_list
from backend.firmware.services.images import image_add, image_delete, image_store, image_update
from backend.firmware.services.keys import signing_key_add, signing_key_delete
from backend.firmware.storage import CHUNK, chunks_of, image_path, limit_bytes, too_large
from backend.firmware.uploads import body_limit, expect_image, image_of

IMAGE_ERRORS: dict[Any, Any] = {**ERRORS, (409, 413, 507): common.Error}
FORM = "multipart/form-data"
OCTETS = "application/octet-stream"
WORDS = tuple(schemas.ImageWords.model_fields)


class Uploader(SessionWithRole):
    """The same check as everywhere, but before the form is read: its file then goes straight to its place."""

    def __call__(self, request: HttpRequest) -> Any:
        """Role first, CSRF token second, because looking for the latter reads the form."""
        user = self.authenticate(request, None)
        if user is None:
            return None
        if request.method == "POST" and request.content_type == FORM:
            expect_image(request)
        self._get_key(request)
        return user


uploader = Uploader(Permission.OPERATE)


def _refused(error: FirmwareError) -> HttpError:
    statuses = {TooLargeError: 413, NoRoomError: 507, InUseError: 409}
    return HttpError(statuses.get(type(error), 400), str(error))


def _shape(image: FirmwareImage) -> dict[str, Any]:
    return {
        "id": image.pk,
        "sha256": image.sha256,
        "size": image.size,
        "file_name": image.file_name,
        "kind": image.kind,
        "version": image.version,
        "details": [(what, is_) for what, is_ in image.details],
        "signature": image.signature,
        "signed_by": image.signed_by.name if image.signed_by else None,
        "manufacturer": image.manufacturer,
        "model": image.model,
        "profile": image.profile.name if image.profile else None,
        "object_instance": image.object_instance,
        "note": image.note,
        "uploaded_at": image.uploaded_at,
        "uploaded_by": image.uploaded_by.username if image.uploaded_by else None,
        "deleted_at": image.deleted_at,
    }


def _or_404(image_id: int) -> FirmwareImage:
    try:
        return image_get(id=min(image_id, LIMIT))
    except FirmwareImage.DoesNotExist:
        raise Http404(f"There is no firmware image {image_id}.") from None


def _profile(name: str | None) -> Profile | None:
    if not name:
        return None
    try:
        return profile_by_name(name=name)
    except Profile.DoesNotExist:
        raise Http404(f"There is no profile {name!r}.") from None


def _words(said: dict[str, Any]) -> dict[str, Any]:
    """What was said of an image, from texts. Raises ValidationError, Http404."""
    try:
        words = schemas.ImageWords.model_validate({name: text for name, text in said.items() if text != ""})
    except PydanticError as error:
        raise ValidationError([dict(one) for one in error.errors(include_url=False)]) from None
    return {**words.model_dump(exclude={"profile"}), "profile": _profile(words.profile)}


def _body(request: HttpRequest) -> Iterator[bytes]:
    while chunk := request.read(CHUNK):
        yield chunk


def _add(request: HttpRequest) -> tuple[FirmwareImage, bool]:
    said = {name: request.GET[name] for name in request.GET if name != "file_name"}
    if request.content_type == FORM:
        upload = image_of(request)
        said.update({name: request.POST[name] for name in request.POST if name != "csrfmiddlewaretoken"})
        name = said.pop("file_name", "") or request.GET.get("file_name", "") or upload.name or ""
        return image_store(upload=upload.upload, file_name=name, by=person(request), **_words(said))
    # curl and others leave the type out where there is no body
    if request.content_type in {OCTETS, ""}:
        announced = str(request.META.get("CONTENT_LENGTH") or "")
        if announced.isdecimal() and int(announced) > body_limit():
            raise too_large(limit_bytes())
        name = request.GET.get("file_name", "")
        return image_add(chunks=_body(request), file_name=name, by=person(request), **_words(said))
    raise HttpError(400, f"Send the image as {OCTETS}, with ?file_name=, or in a form ({FORM}) as the field file.")


_PARAMETERS = [
    {"in": "query", "name": "file_name", "required": False, "schema": {"type": "string", "maxLength": 255}},
    *(
        {"in": "query", "name": name, "required": False, "schema": schema}
        for name, schema in schemas.ImageWords.model_json_schema()["properties"].items()
    ),
]
_OCTETS_SCHEMA = {"type": "string", "format": "binary"}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": _OCTETS_SCHEMA, **schemas.ImageWords.model_json_schema()["properties"]},
}


@api.get("/firmware/images", response={200: schemas.Images, **ERRORS}, summary="Firmware images", tags=["firmware"])
@strict("search", "deleted")
def images(
    request: HttpRequest, search: Annotated[str, Query(max_length=255)] = "", deleted: bool = False
) -> dict[str, Any]:
    """Newest first. `search`: file name, version, note, manufacturer, model, or how the SHA-256 begins."""
    return {"items": [_shape(one) for one in image_list(search=search, deleted=deleted)]}


@api.post(
    "/firmware/images",
    auth=uploader,
    response={(200, 201): schemas.Image, **IMAGE_ERRORS},
    summary="Upload a firmware image",
    tags=["firmware"],
    openapi_extra={
        "parameters": _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {OCTETS: {"schema": _OCTETS_SCHEMA}, FORM: {"schema": _FORM_SCHEMA}},
        },
    },
)
@strict("file_name", *WORDS)
def image_upload(request: HttpRequest) -> Status[dict[str, Any]]:
    """As it is, or as a form's field `file`. A content that is here already is not stored again: 200."""
    try:
        image, made = _add(request)
    except FirmwareError as error:
        raise _refused(error) from None
    return Status(201 if made else 200, _shape(image_get(id=image.pk)))


@api.get(
    "/firmware/images/{int:image_id}",
    response={200: schemas.Image, **ERRORS},
    summary="A firmware image",
    tags=["firmware"],
)
@strict()
def image(request: HttpRequest, image_id: int) -> dict[str, Any]:
    """One of them, a deleted one too."""
    return _shape(_or_404(image_id))


@api.patch(
    "/firmware/images/{int:image_id}",
    auth=operator,
    response={200: schemas.Image, **IMAGE_ERRORS},
    summary="Say something else of a firmware image",
    tags=["firmware"],
)
@strict()
def image_change(request: HttpRequest, image_id: int, body: Annotated[schemas.ImageChange, Body()]) -> dict[str, Any]:
    """Version (of one that does not tell its own), which devices it is for, note."""
    found = _or_404(image_id)
    said = body.model_dump(exclude_unset=True)
    # null takes back what may be empty
    for name in ("version", "manufacturer", "model", "note"):
        if name in said:
            said[name] = said[name] or ""
    if "profile" in said:
        said["profile"] = _profile(said["profile"])
    try:
        image_update(image=found, by=person(request), **said)
    except FirmwareError as error:
        raise _refused(error) from None
    return _shape(_or_404(image_id))


@api.delete(
    "/firmware/images/{int:image_id}",
    auth=operator,
    response={200: schemas.Images, **IMAGE_ERRORS},
    summary="Delete a firmware image",
    tags=["firmware"],
)
@strict()
def image_remove(request: HttpRequest, image_id: int) -> dict[str, Any]:
    """Not while an update needs it (409). The row stays where updates tell of it."""
    found = _or_404(image_id)
    try:
        image_delete(image=found, by=person(request))
    except FirmwareError as error:
        raise _refused(error) from None
    return {"items": [_shape(one) for one in image_list()]}


@api.get("/firmware/images/{int:image_id}/file", summary="A firmware image's bytes", tags=["firmware"])
@strict()
def image_file(request: HttpRequest, image_id: int) -> HttpResponseBase:
    """As they were uploaded; the ETag is their SHA-256."""
    found = _or_404(image_id)
    path = image_path(found.sha256)
    if found.deleted_at is not None or not path.is_file():
        raise Http404(f"The file of the image {found} was deleted: upload it again.")
    answer = download(request, chunks_of(path), content_type=OCTETS, file_name=found.file_name)
    answer.headers["Content-Length"] = str(found.size)
    answer.headers["ETag"] = f'"{found.sha256}"'
    return answer


# -- keys


def _key_shape(key: SigningKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "kind": key.kind,
        "fingerprint": key.fingerprint,
        "pem": key.pem,
        "added_at": key.added_at,
        "added_by": key.added_by.username if key.added_by else None,
    }


@api.get("/firmware/keys", response={200: schemas.SigningKeys, **ERRORS}, summary="Signing keys", tags=["firmware"])
@strict()
def keys(request: HttpRequest) -> dict[str, Any]:
    """The public keys that images may be signed with, by name."""
    return {"items": [_key_shape(one) for one in signing_key_list()]}


@api.post(
    "/firmware/keys",
    auth=administrator,
    response={201: schemas.SigningKey, **ERRORS},
    summary="Register a signing key",
    tags=["firmware"],
)
@strict()
def key_add(request: HttpRequest, body: Annotated[schemas.SigningKeyBody, Body()]) -> Status[dict[str, Any]]:
    """Images that it has signed count as signed from now on. A private key is refused."""
    try:
        made = signing_key_add(name=body.name, pem=body.pem, by=person(request))
    except FirmwareError as error:
        raise _refused(error) from None
    return Status(201, _key_shape(made))


def _key_or_404(key_id: int) -> SigningKey:
    try:
        return signing_key_get(id=min(key_id, LIMIT))
    except SigningKey.DoesNotExist:
        raise Http404(f"There is no signing key {key_id}.") from None


@api.get(
    "/firmware/keys/{int:key_id}",
    response={200: schemas.SigningKey, **ERRORS},
    summary="A signing key",
    tags=["firmware"],
)
@strict()
def key(request: HttpRequest, key_id: int) -> dict[str, Any]:
    """One of them."""
    return _key_shape(_key_or_404(key_id))


@api.delete(
    "/firmware/keys/{int:key_id}",
    auth=administrator,
    response={200: schemas.SigningKeys, **ERRORS},
    summary="Remove a signing key",
    tags=["firmware"],
)
@strict()
def key_remove(request: HttpRequest, key_id: int) -> dict[str, Any]:
    """Images that only it vouched for count as signed by an unknown key."""
    found = _key_or_404(key_id)
    try:
        signing_key_delete(key=found, by=person(request))
    except SigningKey.DoesNotExist:
        raise Http404(f"There is no signing key {key_id}.") from None
    return {"items": [_key_shape(one) for one in signing_key_list()]}
