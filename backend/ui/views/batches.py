"""The same command for many devices: choosing it, and watching it."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.commands.models import CommandBatch, Kind
from backend.commands.selectors import batch_get, batch_list, batch_progress, batches_progress
from backend.commands.services import batch_cancel, commands_create
from backend.ui.bulk import bulk_input, kind_choices, selection_of
from backend.ui.commandlog import command_log
from backend.ui.inputs import arguments_of
from backend.ui.legend import COMMAND_STATES
from backend.ui.views.commands import log_rows
from backend.ui.views.common import person


def _form(request: HttpRequest, data: QueryDict, *, error: str = "", confirm: bool = False) -> HttpResponse:
    selection = selection_of(data)
    asked = bulk_input(data)
    kinds = kind_choices()
    context = {
        "selection": selection,
        "kinds": kinds,
        "input": asked,
        "note": data.get("note", ""),
        "error": error,
        "kind_label": dict(kinds).get(asked.kind, asked.kind),
        # said again by the confirmation, files and all
        "said": [(name, value) for name, values in data.lists() for value in values if name != "csrfmiddlewaretoken"],
        # a switch that is off sends nothing
        "value": "off"
        if asked.write and asked.write.field.widget == "switch" and not data.get("value")
        else data.get("value", ""),
        "arguments": data.get("arguments", ""),
    }
    template = "ui/bulk_confirm.html" if confirm else "ui/bulk.html"
    return render(request, template, context, status=400 if error else 200)


@require(Permission.OPERATE)
@require_http_methods(["GET", "HEAD", "POST"])
def command_new(request: HttpRequest) -> HttpResponse:
    """The form (GET), the question how many devices it concerns (POST), and with `confirmed` the deed."""
    if request.method != "POST":
        return _form(request, request.GET)
    data = request.POST
    selection = selection_of(data)
    if not selection.count:
        return _form(request, data, error="No device is chosen, or none is left: choose some in the list of devices.")
    if data.get("confirmed") != "1":
        if not data.get("path", "").strip().startswith("/"):
            return _form(request, data, error="Say the path, such as /3/0/9.")
        return _form(request, data, confirm=True)
    kind = data.get("kind", "")
    try:
        batch = commands_create(
            devices=selection.devices,
            kind=kind,
            path=data.get("path", "").strip(),
            arguments=arguments_of(kind, data),
            by=person(request),
            note=data.get("note", ""),
        )
    except ValueError as error:
        return _form(request, data, error=str(error))
    return redirect("batch", pk=batch.pk)


@require(Permission.OPERATE)
@require_safe
def input_part(request: HttpRequest) -> HttpResponse:
    """What the operation asks for on the path that was typed."""
    return render(request, "ui/parts/bulk_input.html", {"input": bulk_input(request.GET)})


def _batch(pk: int) -> CommandBatch:
    try:
        return batch_get(id=pk)
    except CommandBatch.DoesNotExist:
        raise Http404("There is no such batch (any more).") from None


def _context(request: HttpRequest, batch: CommandBatch) -> dict[str, Any]:
    progress = batch_progress(batch=batch)
    log = command_log(request.GET, batch=batch)
    part = reverse("part-batch", kwargs={"pk": batch.pk})
    query = request.GET.urlencode()
    return {
        "batch": batch,
        "kind_label": Kind(batch.kind).label,
        "progress": progress,
        "counts": [(COMMAND_STATES[state], number) for state, number in progress.counts.items() if number],
        "open": progress.total - progress.ended,
        "log": log,
        "rows": log_rows(log),
        "log_url": reverse("batch", kwargs={"pk": batch.pk}),
        "log_part_url": f"{part}?{query}" if query else part,
    }


@require(Permission.VIEW)
@require_safe
def batch_page(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it has come, and the result of each device."""
    return render(request, "ui/batch.html", _context(request, _batch(pk)))


@require(Permission.VIEW)
@require_safe
def batch_part(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/batch.html", _context(request, _batch(pk)))


@require(Permission.OPERATE)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Calls back what has not ended."""
    batch = _batch(pk)
    batch_cancel(batch_id=batch.pk, by=person(request))
    return redirect("batch", pk=batch.pk)


@require(Permission.VIEW)
@require_safe
def batch_list_page(request: HttpRequest) -> HttpResponse:
    """All batches, newest first."""
    page = Paginator(batch_list(), 50).get_page(request.GET.get("page"))
    batches = list(page.object_list)
    progress = batches_progress(batches=batches)
    rows = [(batch, Kind(batch.kind).label, progress[batch.pk]) for batch in batches]
    return render(request, "ui/batches.html", {"page": page, "rows": rows})
