"""What is wanted of devices: observations, profiles, rules."""

from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Status
from ninja.errors import HttpError
from ninja.params.functions import Body, Query

from backend.api import control_schemas as schemas
from backend.api import schemas as read_schemas
from backend.api.auth import administrator, operator
from backend.api.base import ERRORS, Endpoint, api, device_or_404, person
from backend.api.commands import chosen_devices
from backend.api.operations import device_shape
from backend.api.parameters import LIMIT, strict
from backend.devices.models import Profile, ProfileObservation, ProfileRule
from backend.devices.selectors import (
    device_get,
    profile_by_name,
    profile_get,
    profile_list,
    profile_patterns,
    rule_list,
    wanted_list,
)
from backend.devices.services import (
    ProfileError,
    ProfileKeeping,
    Rule,
    WantedPath,
    device_observation_clear,
    device_observation_set,
    profile_assign,
    profile_create,
    profile_delete,
    profile_rules_set,
    profile_update,
)
from backend.lwm2m.attributes import AttributeInputError, attributes_check
from backend.lwm2m.paths import PathError

# -- observations of one device


def _wish(one: ProfileObservation) -> dict[str, Any]:
    return {"path": one.path, "attributes": one.attributes}


def _wanted(endpoint: str) -> dict[str, Any]:
    device = device_or_404(endpoint)
    return {
        "items": wanted_list(device=device),
        "profile": device.profile.name if device.profile else None,
        "patterns": [_wish(one) for one in profile_patterns(device=device)],
    }


@api.get(
    "/observations",
    response={200: schemas.WantedObservations, **ERRORS},
    summary="Observations of a device",
    tags=["observations"],
)
@strict("device")
def observations(request: HttpRequest, device: Annotated[Endpoint, Query()]) -> dict[str, Any]:
    """What is wanted on the device, by whom, and how far that has come."""
    return _wanted(device)


@api.put(
    "/observations",
    auth=operator,
    response={200: schemas.WantedObservations, **ERRORS},
    summary="Want a path observed, or not",
    tags=["observations"],
)
@strict()
def observation_set(request: HttpRequest, wish: Annotated[schemas.ObservationSet, Body()]) -> dict[str, Any]:
    """Overrides the profile's word on that path, now and at every registration."""
    device = device_or_404(wish.device)
    try:
        if wish.attributes is not None:
            attributes_check(wish.attributes, path=wish.path)
        device_observation_set(
            device=device, path=wish.path, wanted=wish.wanted, attributes=wish.attributes, by=person(request)
        )
    except (PathError, AttributeInputError) as error:
        raise HttpError(400, f"{error}") from None
    return _wanted(wish.device)


@api.delete(
    "/observations",
    auth=operator,
    response={200: schemas.WantedObservations, **ERRORS},
    summary="Leave a path to the profile",
    tags=["observations"],
)
@strict("device", "path")
def observation_clear(
    request: HttpRequest,
    device: Annotated[Endpoint, Query()],
    path: Annotated[str, Query(max_length=64)],
) -> dict[str, Any]:
    """Takes back what was set on this device for that path."""
    if not device_observation_clear(device=device_or_404(device), path=path):
        raise Http404(f"Nothing was set on this device for {path!r}.")
    return _wanted(device)


# -- profiles


def _profile_shape(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.pk,
        "name": profile.name,
        "is_default": profile.is_default,
        "awake_seconds": profile.awake_seconds,
        "composite": profile.composite,
        **{name: getattr(profile, name) for name in ProfileKeeping.__annotations__},
        "observations": [_wish(one) for one in profile.observations.all()],
        "devices": profile.device_count,  # type: ignore[attr-defined]
    }


def _profile_or_404(profile_id: int) -> Profile:
    try:
        return profile_get(id=min(profile_id, LIMIT))
    except Profile.DoesNotExist:
        raise Http404(f"There is no profile {profile_id}.") from None


def _named(name: str) -> Profile:
    try:
        return profile_by_name(name=name)
    except Profile.DoesNotExist:
        raise Http404(f"There is no profile {name!r}.") from None


def _fields(body: schemas.ProfileBody) -> dict[str, Any]:
    return {
        "name": body.name,
        "is_default": body.is_default,
        "awake_seconds": body.awake_seconds,
        "composite": body.composite,
        "observations": [WantedPath(path=one.path, attributes=one.attributes) for one in body.observations],
        # a caller that knows nothing of these must not shorten what is kept
        **{name: getattr(body, name) for name in ProfileKeeping.__annotations__ if name in body.model_fields_set},
    }


@api.get("/profiles", response={200: schemas.Profiles, **ERRORS}, summary="Profiles", tags=["profiles"])
@strict()
def profiles(request: HttpRequest) -> dict[str, Any]:
    """All of them, by name."""
    return {"items": [_profile_shape(one) for one in profile_list()]}


@api.post(
    "/profiles",
    auth=administrator,
    response={201: schemas.Profile, **ERRORS},
    summary="Add a profile",
    tags=["profiles"],
)
@strict()
def profile_add(request: HttpRequest, body: Annotated[schemas.ProfileBody, Body()]) -> Status[dict[str, Any]]:
    """A new one; as the default it takes the place of the one before."""
    try:
        made = profile_create(**_fields(body))
    except ProfileError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, _profile_shape(profile_get(id=made.pk)))


@api.get(
    "/profiles/{int:profile_id}", response={200: schemas.Profile, **ERRORS}, summary="A profile", tags=["profiles"]
)
@strict()
def profile(request: HttpRequest, profile_id: int) -> dict[str, Any]:
    """One of them."""
    return _profile_shape(_profile_or_404(profile_id))


@api.put(
    "/profiles/{int:profile_id}",
    auth=administrator,
    response={200: schemas.Profile, **ERRORS},
    summary="Change a profile",
    tags=["profiles"],
)
@strict()
def profile_change(
    request: HttpRequest, profile_id: int, body: Annotated[schemas.ProfileBody, Body()]
) -> dict[str, Any]:
    """The profile as it shall be, all of it. Its devices are asked anew at once."""
    found = _profile_or_404(profile_id)
    try:
        profile_update(profile=found, **_fields(body))
    except ProfileError as error:
        raise HttpError(400, str(error)) from None
    return _profile_shape(_profile_or_404(profile_id))


@api.delete(
    "/profiles/{int:profile_id}",
    auth=administrator,
    response={200: schemas.Profiles, **ERRORS},
    summary="Remove a profile",
    tags=["profiles"],
)
@strict()
def profile_remove(request: HttpRequest, profile_id: int) -> dict[str, Any]:
    """Its rules go with it; its devices get what the other rules, or the default profile, give them."""
    profile_delete(profile=_profile_or_404(profile_id))
    return {"items": [_profile_shape(one) for one in profile_list()]}


# -- rules


def _rule_shape(rule: ProfileRule) -> dict[str, Any]:
    return {
        "profile": rule.profile.name,
        "endpoint": rule.endpoint,
        "manufacturer": rule.manufacturer,
        "model": rule.model,
    }


@api.get("/rules", response={200: schemas.Rules, **ERRORS}, summary="Rules", tags=["profiles"])
@strict()
def rules(request: HttpRequest) -> dict[str, Any]:
    """Which devices get which profile; the first rule that matches wins."""
    return {"items": [_rule_shape(one) for one in rule_list()]}


@api.put(
    "/rules",
    auth=administrator,
    response={200: schemas.Rules, **ERRORS},
    summary="Set the rules",
    tags=["profiles"],
)
@strict()
def rules_change(request: HttpRequest, body: Annotated[schemas.RulesBody, Body()]) -> dict[str, Any]:
    """All rules, in place of those before; they are applied at once to every device whose profile nobody chose."""
    ids = {one.name: one.pk for one in profile_list()}
    asked = []
    for one in body.items:
        if one.profile not in ids:
            raise Http404(f"There is no profile {one.profile!r}.")
        asked.append(
            Rule(profile_id=ids[one.profile], endpoint=one.endpoint, manufacturer=one.manufacturer, model=one.model)
        )
    try:
        made = profile_rules_set(rules=asked)
    except ProfileError as error:
        raise HttpError(400, str(error)) from None
    return {"items": [_rule_shape(one) for one in made]}


# -- devices and their profiles


def _patch(patch: schemas.DevicePatch) -> dict[str, Any]:
    """What `profile_assign` takes."""
    if ("profile" in patch.model_fields_set) == patch.by_rules:
        raise HttpError(400, 'say one of the two: profile (a name, or null for none), or "by_rules": true.')
    if patch.by_rules:
        return {"profile": None, "by_hand": False}
    return {"profile": None if patch.profile is None else _named(patch.profile), "by_hand": True}


@api.patch(
    "/devices",
    auth=operator,
    response={200: schemas.Patched, **ERRORS},
    summary="Give devices a profile",
    tags=["devices"],
)
@strict()
def devices_change(request: HttpRequest, patch: Annotated[schemas.DevicesPatch, Body()]) -> dict[str, Any]:
    """Several devices, or all that a filter finds."""
    return {"devices": profile_assign(devices=chosen_devices(patch.devices, patch.filter), **_patch(patch))}


@api.patch(
    "/devices/{text:endpoint}",
    auth=operator,
    response={200: read_schemas.Device, **ERRORS},
    summary="Give a device a profile",
    tags=["devices"],
)
@strict()
def device_change(request: HttpRequest, endpoint: str, patch: Annotated[schemas.DevicePatch, Body()]) -> dict[str, Any]:
    """Chosen by hand, the profile is left alone by rules."""
    profile_assign(devices=device_or_404(endpoint), **_patch(patch))
    return device_shape(device_get(endpoint=endpoint))
