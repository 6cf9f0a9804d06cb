"""The export page: which samples, from when to when, as which file. The file itself comes from the API."""

from shlex import quote
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.lwm2m.times import datetime_of_us, us_of_text
from backend.telemetry.export import FORMATS, ExportError, Selection, series_selected
from backend.telemetry.selectors.export import export_size
from backend.ui.views.common import sentence

# what a form's field may name
MANY = 1000


def _names(text: str) -> list[str]:
    """The lines of a field, each once: a name may hold any other character."""
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))[:MANY]


def _utc(text: str) -> str:
    """A time as the link, the field and its script read it alike, "" for none. Raises ExportError."""
    if not text.strip():
        return ""
    try:
        return datetime_of_us(us_of_text(text)).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise ExportError(f"{text[:40]!r} is no time: write it as 2026-11-22T17:00:00Z") from None


@require(Permission.VIEW)
@require_safe
def export_page(request: HttpRequest) -> HttpResponse:
    """`?s=ENDPOINT/PATH` and `?device=ENDPOINT` (repeated), `path`, `from` and `to` (ISO), `format`."""
    series = _names("\n".join(request.GET.getlist("s")))
    devices = _names("\n".join(request.GET.getlist("device")))
    paths = _names("\n".join(request.GET.getlist("path")))
    format_ = request.GET.get("format", "csv")
    since, until = request.GET.get("from", "").strip(), request.GET.get("to", "").strip()
    context: dict[str, Any] = {
        "series": series,
        "devices": devices,
        "paths": paths,
        "format": format_ if format_ in FORMATS else "csv",
        "since": since,
        "until": until,
    }
    try:
        since, until = context["since"], context["until"] = _utc(since), _utc(until)
        ids = series_selected(Selection(series=series, devices=devices, paths=paths))
    except ExportError as error:
        context["problem"] = sentence(error) + "."
    else:
        context["count"] = len(ids)
        context["samples"] = export_size(series_ids=ids)
        asked = [("format", context["format"])]
        asked += (
            [("of", one) for one in series] + [("device", one) for one in devices] + [("path", one) for one in paths]
        )
        asked += [(name, value) for name, value in (("start", since), ("end", until)) if value]
        context["download"] = f"/api/v1/export?{urlencode(asked)}"
        command = ["python manage.py export", f"samples.{context['format']}"]
        command += [f"--series {quote(one)}" for one in series] + [f"--device {quote(one)}" for one in devices]
        command += [f"--path {quote(one)}" for one in paths]
        command += [f"{flag} {quote(value)}" for flag, value in (("--from", since), ("--to", until)) if value]
        context["command"] = " ".join(command)
    return render(request, "ui/export.html", context)
