"""The log of commands, of one device and of all; cancelling and repeating one."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.commands.models import Command
from backend.commands.selectors import command_get
from backend.commands.services import CommandError, command_cancel, command_create
from backend.devices.models import Device
from backend.ui.commandlog import CommandLog, command_log
from backend.ui.progress import CommandLine, answer_json, arguments_json, command_line
from backend.ui.views.common import device_or_404, person
from backend.ui.views.control import told


class Row(CommandLine):
    """A line of the log, with what is shown on demand."""

    @property
    def arguments(self) -> str:
        """What was sent along."""
        return arguments_json(self.command)

    @property
    def answer(self) -> str:
        """The answer as it came."""
        return answer_json(self.command)


def log_rows(log: CommandLog) -> list[Row]:
    """The page's commands as lines."""
    return [Row(**command_line(command).__dict__) for command in log.page.object_list]


def log_context(request: HttpRequest, *, device: Device | None = None) -> dict[str, object]:
    """What the log's templates show."""
    kept = {"tab": "commands"} if device else {}
    log = command_log(request.GET, device=device, kept=kept)
    part = (
        reverse("part-commands")
        if device is None
        else reverse("part-device-commands", kwargs={"endpoint": device.endpoint})
    )
    query = request.GET.urlencode()
    return {
        "log": log,
        "rows": log_rows(log),
        "device": device,
        "log_url": request.path if device is None else reverse("device", kwargs={"endpoint": device.endpoint}),
        "log_part_url": f"{part}?{query}" if query else part,
    }


@require(Permission.VIEW)
@require_safe
def command_list_page(request: HttpRequest) -> HttpResponse:
    """Commands of all devices, filtered and paged by the address."""
    return render(request, "ui/commands.html", log_context(request) | {"log_url": reverse("commands")})


@require(Permission.VIEW)
@require_safe
def commands_part(request: HttpRequest) -> HttpResponse:
    """The same log as it is now."""
    return render(request, "ui/parts/commands_log.html", log_context(request) | {"log_url": reverse("commands")})


@require(Permission.VIEW)
@require_safe
def device_commands_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """One device's log as it is now."""
    return render(request, "ui/parts/commands_log.html", log_context(request, device=device_or_404(endpoint)))


def _command(pk: int) -> Command:
    try:
        return command_get(id=pk)
    except Command.DoesNotExist:
        raise Http404("There is no such command (any more).") from None


def _back(request: HttpRequest, command: Command) -> str:
    if request.POST.get("back") == "all":
        return reverse("commands")
    return f"{reverse('device', kwargs={'endpoint': command.device.endpoint})}?tab=commands"


@require(Permission.VIEW)
@require_safe
def line_part(request: HttpRequest, pk: int) -> HttpResponse:
    """One command's line as it is now."""
    return render(request, "ui/parts/command_line.html", {"line": command_line(_command(pk))})


@require(Permission.OPERATE)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Calls one command back."""
    back = _back(request, _command(pk))
    try:
        command = command_cancel(command_id=pk, by=person(request))
    except CommandError as error:
        return told(request, error=str(error), back=back)
    return told(request, command=command, back=back)


@require(Permission.OPERATE)
@require_POST
def repeat(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks the same of the same device once more."""
    before = _command(pk)
    back = _back(request, before)
    try:
        command = command_create(
            device=before.device,
            kind=before.kind,
            path=before.path,
            arguments=before.arguments,
            content_format=before.content_format,
            note=before.note,
            by=person(request),
            force=True,
        )
    except CommandError as error:
        return told(request, error=str(error), back=back)
    return told(request, command=command, back=back)
