"""What a person does to one device: the panel of a place in its object tree, commands, one-click actions."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.commands.actions import ActionError, action_get
from backend.commands.models import Command, Kind
from backend.commands.services import CommandError, command_create
from backend.devices.models import Device
from backend.devices.services import device_observation_clear
from backend.lwm2m.paths import PathError
from backend.ui.inputs import arguments_of, attributes_arguments
from backend.ui.panel import Panel, panel_of
from backend.ui.progress import command_line
from backend.ui.views.common import device_or_404, person


def _panel(request: HttpRequest, device: Device) -> Panel:
    try:
        return panel_of(device=device, path=request.GET.get("at", ""), chosen_type=request.GET.get("type", ""))
    except PathError as error:
        raise Http404(f"{error}.") from None


def opened(request: HttpRequest, device: Device) -> Panel | None:
    """The panel that a page's address asks for with `?at=PATH`; None where it asks for none, or for nonsense."""
    if not request.GET.get("at"):
        return None
    try:
        return panel_of(device=device, path=request.GET["at"], chosen_type=request.GET.get("type", ""))
    except PathError:
        return None


@require(Permission.VIEW)
@require_safe
def panel_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The panel of `?at=PATH`; `&type=` for a value whose type no model knows."""
    device = device_or_404(endpoint)
    return render(request, "ui/parts/panel.html", {"device": device, "panel": _panel(request, device)})


@require(Permission.VIEW)
@require_safe
def panel_live_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What moves in the panel of `?at=PATH`: value, observation, history, last commands."""
    device = device_or_404(endpoint)
    return render(request, "ui/parts/panel_live.html", {"device": device, "panel": _panel(request, device)})


@require(Permission.OPERATE)
@require_safe
def object_menu_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What can be done with the object or instance `?at=PATH`; fetched when its menu is opened."""
    device = device_or_404(endpoint)
    return render(request, "ui/parts/object_menu_items.html", {"device": device, "panel": _panel(request, device)})


def told(
    request: HttpRequest, *, command: Command | None = None, error: str = "", text: str = "", back: str
) -> HttpResponse:
    """What came of it, at the place where it was asked; without script the page `back` tells."""
    if not request.htmx:  # type: ignore[attr-defined]
        if error:
            return render(request, "ui/refused.html", {"error": error, "back": back}, status=400)
        return redirect(back)
    context = {"line": command_line(command) if command else None, "error": error, "text": text}
    response = render(request, "ui/parts/told.html", context)
    if not error:
        # lists of commands on the page look again at once
        response.headers["HX-Trigger"] = "fn:commands"
    return response


@require(Permission.OPERATE)
@require_POST
def ask(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Queues one command: `kind`, `path` and what the kind takes."""
    device = device_or_404(endpoint)
    kind, path = request.POST.get("kind", ""), request.POST.get("path", "").strip()
    back = f"{reverse('device', kwargs={'endpoint': endpoint})}?{urlencode({'at': path})}"
    try:
        command = command_create(
            device=device,
            kind=kind,
            path=path,
            arguments=arguments_of(kind, request.POST),
            by=person(request),
            force=request.POST.get("force") == "1",
            wanted_attributes=attributes_arguments(request.POST)["attributes"]
            if kind == Kind.OBSERVE and "pmin" in request.POST
            else None,
        )
    except ValueError as error:
        return told(request, error=str(error), back=back)
    return told(request, command=command, back=back)


@require(Permission.OPERATE)
@require_POST
def observation_clear(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What a person said of observing `path` is forgotten: the profile decides again."""
    device = device_or_404(endpoint)
    path = request.POST.get("path", "")
    device_observation_clear(device=device, path=path)
    back = f"{reverse('device', kwargs={'endpoint': endpoint})}?{urlencode({'at': path})}"
    return told(request, text="The profile decides again whether this is observed.", back=back)


@require(Permission.OPERATE)
@require_POST
def act(request: HttpRequest, endpoint: str) -> HttpResponse:
    """One click: `action`, and `value` where the action takes one."""
    device = device_or_404(endpoint)
    back = f"{reverse('device', kwargs={'endpoint': endpoint})}?tab=commands"
    try:
        action = action_get(key=request.POST.get("action", ""))
        command = command_create(
            device=device,
            kind=action.kind,
            path=action.path,
            arguments=action.arguments(request.POST.get("value", "")),
            by=person(request),
            note=action.title,
        )
    except (ActionError, CommandError) as error:
        return told(request, error=str(error), back=back)
    return told(request, command=command, back=back)
