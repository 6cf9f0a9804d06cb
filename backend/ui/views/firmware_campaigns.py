"""Campaigns: all of them, one of them live, and the way to a new one."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.firmware.endings import ENDINGS, Ending
from backend.firmware.errors import FirmwareError
from backend.firmware.models import Campaign, FirmwareUpdate, Method, UpdateState
from backend.firmware.rollout import RolloutStatus, phase_sizes
from backend.firmware.selectors.campaigns import (
    CampaignView,
    FailureGroup,
    PhaseView,
    Preview,
    campaign_failures,
    campaign_get,
    campaign_list,
    campaign_preview,
    campaign_status,
    campaign_updates,
    selection_check,
    selection_devices,
)
from backend.firmware.services.campaigns import (
    campaign_advance,
    campaign_cancel,
    campaign_create,
    campaign_pause,
    campaign_resume,
    campaign_retry_failed,
)
from backend.ui.bulk import FILTERS
from backend.ui.firmware.bars import Bar, bar_of
from backend.ui.firmware.forms import CampaignForm
from backend.ui.firmware.lists import context_of, updates_csv, updates_of
from backend.ui.firmware.words import span_text
from backend.ui.selectors import devices_by_id
from backend.ui.views.common import person, sentence

PAGE_SIZE = 25
# devices named with each reason for a failure
EXAMPLES = 12
# what can be done with a campaign → the service, and in which states that makes sense
ACTIONS = {
    "pause": (campaign_pause, {RolloutStatus.SCHEDULED, RolloutStatus.RUNNING, RolloutStatus.WAITING}),
    "resume": (campaign_resume, {RolloutStatus.PAUSED, RolloutStatus.STOPPED}),
    "advance": (campaign_advance, {RolloutStatus.RUNNING, RolloutStatus.WAITING}),
    "cancel": (
        campaign_cancel,
        {
            RolloutStatus.SCHEDULED,
            RolloutStatus.RUNNING,
            RolloutStatus.WAITING,
            RolloutStatus.PAUSED,
            RolloutStatus.STOPPED,
        },
    ),
    "retry": (campaign_retry_failed, set(RolloutStatus) - {RolloutStatus.CANCELLED}),
}


# -- all of them


@dataclass(frozen=True)
class Row:
    """A campaign in the list."""

    view: CampaignView
    bar: Bar


def _list_context(request: HttpRequest) -> dict[str, Any]:
    search, before = request.GET.get("search", ""), request.GET.get("before", "")
    start = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    found = campaign_list(search=search[:255], before=start, limit=PAGE_SIZE + 1)
    query = QueryDict(mutable=True)
    if search:
        query["search"] = search
    if len(found) > PAGE_SIZE:
        query["before"] = str(found[PAGE_SIZE - 1].campaign.pk)
    address = request.GET.urlencode()
    part = reverse("part-campaigns")
    return {
        "rows": [Row(view, bar_of(view.counts)) for view in found[:PAGE_SIZE]],
        "search": search,
        "older_url": f"?{query.urlencode()}" if len(found) > PAGE_SIZE else "",
        "first": start is None,
        "part_url": f"{part}?{address}" if address else part,
    }


@require(Permission.VIEW)
@require_safe
def campaign_list_page(request: HttpRequest) -> HttpResponse:
    """Campaigns, newest first; `?search=` in name and image."""
    return render(request, "ui/firmware_campaigns.html", _list_context(request))


@require(Permission.VIEW)
@require_safe
def campaigns_part(request: HttpRequest) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/campaign_rows.html", _list_context(request))


# -- one of them


def _campaign(pk: int) -> Campaign:
    try:
        return campaign_get(id=pk)
    except Campaign.DoesNotExist:
        raise Http404("There is no such campaign (any more).") from None


@dataclass(frozen=True)
class Failure:
    """Devices that failed in the same way, with what that means."""

    group: FailureGroup
    ending: Ending | None
    devices: list[FirmwareUpdate]
    url: str

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.group.devices - len(self.devices)


def _failures(campaign: Campaign) -> list[Failure]:
    failures = []
    for group in campaign_failures(campaign=campaign):
        found = campaign_updates(campaign=campaign, states=[UpdateState.FAILED], code=group.code)
        failures.append(
            Failure(
                group,
                ENDINGS.get(group.code),
                list(found[:EXAMPLES]),
                f"{reverse('campaign', args=[campaign.pk])}?state=failed&code={group.code}#devices",
            )
        )
    return failures


@dataclass(frozen=True)
class Phase:
    """A phase as the table shows it."""

    view: PhaseView
    bar: Bar

    @property
    def words(self) -> str:
        """What it is doing."""
        succeeded = self.view.counts[UpdateState.SUCCEEDED]
        failed = self.view.counts[UpdateState.FAILED]
        parts = [f"{succeeded} succeeded"]
        if failed:
            parts.append(f"{failed} failed")
        return ", ".join(parts) if self.view.begun else "not begun"


def _may(view: CampaignView) -> set[str]:
    """What can be done with it now."""
    may = {name for name, (_, states) in ACTIONS.items() if view.status in states}
    if not view.counts[UpdateState.FAILED]:
        may.discard("retry")
    if view.campaign.phase >= len(view.phases) - 1:
        may.discard("advance")
    return may


def _shown(counts: Any) -> list[tuple[UpdateState, int]]:
    """States with at least one device, in the order of the way."""
    return [(state, counts[state]) for state in UpdateState if counts[state]]


def _context(campaign: Campaign) -> dict[str, Any]:
    view = campaign_status(campaign=campaign)
    failed = view.counts[UpdateState.FAILED]
    return {
        "campaign": campaign,
        "image": campaign.image,
        "view": view,
        "bar": bar_of(view.counts),
        "counts": _shown(view.counts),
        "left": "" if view.seconds_left is None else span_text(view.seconds_left),
        "took": ""
        if view.began_at is None or view.ended_at is None
        else span_text((view.ended_at - view.began_at).total_seconds()),
        "phases": [Phase(one, bar_of(one.counts)) for one in view.phases],
        "failures": _failures(campaign) if failed else [],
        "failed": failed,
        "open": view.total - view.ended,
        "left_out_count": sum(group.devices for group in view.left_out),
        "may": _may(view),
        "method": Method(campaign.method).label,
    }


def _devices(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    return context_of(
        updates_of(request.GET, campaign=campaign),
        url=reverse("campaign", args=[campaign.pk]),
        part=reverse("part-campaign-updates", args=[campaign.pk]),
    ) | {"campaign": campaign, "anchor": "#devices"}


@require(Permission.VIEW)
@require_safe
def campaign_page(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is, who failed and why, and each device's update; `?_export=csv` gives those as a file."""
    campaign = _campaign(pk)
    devices = _devices(request, campaign)
    if request.GET.get("_export") == "csv":
        return updates_csv(devices["list"])
    return render(request, "ui/firmware_campaign.html", _context(campaign) | devices)


@require(Permission.VIEW)
@require_safe
def campaign_part(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is now."""
    return render(request, "ui/parts/campaign.html", _context(_campaign(pk)))


@require(Permission.VIEW)
@require_safe
def campaign_updates_part(request: HttpRequest, pk: int) -> HttpResponse:
    """Its devices' updates as they are now."""
    return render(request, "ui/parts/update_list.html", _devices(request, _campaign(pk)))


@require(Permission.OPERATE)
@require_POST
def act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """One of ACTIONS."""
    campaign = _campaign(pk)
    if action not in ACTIONS:
        raise Http404("There is no such action.")
    service, _ = ACTIONS[action]
    try:
        service(campaign_id=campaign.pk, by=person(request))
    except FirmwareError as error:
        context = _context(_campaign(pk)) | _devices(request, campaign) | {"problem": sentence(error)}
        return render(request, "ui/firmware_campaign.html", context)
    return HttpResponseRedirect(reverse("campaign", args=[campaign.pk]))


# -- a new one


def _initial(query: QueryDict) -> dict[str, Any]:
    """The form as a link to it fills it in: an image, devices chosen by hand, or the filter of the device list."""
    initial: dict[str, Any] = {}
    image = query.get("image", "")
    if image.isascii() and image.isdecimal() and len(image) < 19:
        initial["image"] = int(image)
    ids = [int(one) for one in query.getlist("id") if one.isascii() and one.isdecimal() and len(one) < 19]
    if query.get("all") == "1" or not ids:
        for name in FILTERS:
            if query.get(name) and name != "observations":
                initial[name] = query[name]
    else:
        names = devices_by_id(ids=ids).values_list("endpoint", flat=True)
        initial |= {"choose": "endpoints", "endpoints": "\n".join(names)}
    return initial


@dataclass(frozen=True)
class Plan:
    """What would come of the form as it is filled in; `problem` where that cannot be said."""

    preview: Preview | None = None
    sizes: list[int] | None = None
    problem: str = ""
    version: str = ""


def _plan(form: CampaignForm) -> Plan:
    """Of a bound form that was validated; fields that are not there yet are left out of account."""
    said = form.cleaned_data
    image = said.get("image")
    if image is None:
        return Plan(problem="Choose an image to see how many devices would get it.")
    if said.get("choose") == "endpoints" and not form.names:
        return Plan(problem="Name devices to see how many of them would get it.")
    try:
        preview = campaign_preview(
            image=image,
            devices=selection_devices(selection=selection_check(selection=form.selection)),
            force=bool(said.get("force")),
            object_instance=said.get("object_instance"),
        )
    except FirmwareError as error:
        return Plan(problem=sentence(error))
    sizes = phase_sizes(preview.devices, said.get("phases") or [100])
    unknown = 0
    if said.get("choose") == "endpoints":
        unknown = len(form.names) - preview.chosen
    problem = f"{unknown} of the names are of no device." if unknown > 0 else ""
    return Plan(preview, sizes, problem, image.version or image.file_name)


def _form_page(request: HttpRequest, form: CampaignForm, *, problem: str = "", status: int = 200) -> HttpResponse:
    if form.is_bound:
        form.is_valid()
        plan = _plan(form)
    else:
        probe = CampaignForm(
            {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}
        )
        probe.is_valid()
        plan = _plan(probe)
    context = {
        "form": form,
        "plan": plan,
        "problem": problem,
        "images": form.fields["image"].queryset.exists(),  # type: ignore[attr-defined]
        "zone_chosen": form.is_bound,
    }
    return render(request, "ui/firmware_campaign_new.html", context, status=status)


@require(Permission.OPERATE)
@require_http_methods(["GET", "HEAD", "POST"])
def campaign_new(request: HttpRequest) -> HttpResponse:
    """The form (GET), what would come of it (POST), and with `confirmed` the deed; `change` goes back to the form."""
    if request.method != "POST":
        return _form_page(request, CampaignForm(initial=_initial(request.GET)))
    form = CampaignForm(request.POST)
    if request.POST.get("change"):
        return _form_page(request, form)
    if not form.is_valid():
        return _form_page(request, form, problem="Something is missing or wrong: see below.", status=400)
    phases = form.cleaned_data["phases"]
    if request.POST.get("confirmed") != "1":
        plan = _plan(form)
        if plan.preview is None or not plan.preview.devices:
            why = plan.problem or "No device would get this image: see why at the side."
            return _form_page(request, form, problem=why, status=400)
        context = {
            "plan": plan,
            "said": form.cleaned_data,
            "starts": form.starts,
            "name": _name(form),
            "phases": list(zip(phases, plan.sizes or [], strict=False)),
            "method": Method(form.cleaned_data["method"]).label,
            # said again by the confirmation
            "fields": [
                (key, value)
                for key, values in request.POST.lists()
                for value in values
                if key not in {"csrfmiddlewaretoken", "change", "confirmed"}
            ],
        }
        return render(request, "ui/firmware_campaign_confirm.html", context)
    said = form.cleaned_data
    try:
        selection = selection_check(selection=form.selection)
        campaign = campaign_create(
            name=_name(form),
            image=said["image"],
            by=person(request),
            devices=selection_devices(selection=selection),
            selection=selection,
            phases=phases,
            concurrency=said["concurrency"],
            success_threshold=said["success_threshold"],
            error_threshold=said["error_threshold"],
            hold_seconds=said["hold_seconds"],
            start_at=form.starts,
            window_from=said["window_from"],
            window_to=said["window_to"],
            zone=said["zone"],
            method=said["method"],
            force=said["force"],
            standing=said["standing"],
            object_instance=said["object_instance"],
        )
    except FirmwareError as error:
        return _form_page(request, form, problem=sentence(error), status=400)
    return HttpResponseRedirect(reverse("campaign", args=[campaign.pk]))


def _name(form: CampaignForm) -> str:
    """As typed in, else after the image and the day."""
    said = form.cleaned_data
    typed: str = said["name"].strip()
    return typed or f"{said['image'].version or said['image'].file_name}, {timezone.now():%Y-%m-%d}"[:100]


@require(Permission.OPERATE)
@require_POST
def preview_part(request: HttpRequest) -> HttpResponse:
    """How many devices the form as it is filled in would reach, and which not and why."""
    form = CampaignForm(request.POST)
    form.is_valid()
    return render(request, "ui/parts/campaign_preview.html", {"plan": _plan(form)})
