"""Alerts, rules and channels."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.alerts import texts
from backend.alerts.errors import AlertError
from backend.alerts.models import Alert, Channel, Rule
from backend.alerts.selectors import (
    alert_counts,
    alert_get,
    alerts_open,
    channel_get,
    channel_list,
    delivery_list,
    rule_get,
    rule_list,
    rule_preview,
)
from backend.alerts.services import (
    alerts_acknowledge,
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
    rule_create,
    rule_delete,
    rule_enable,
    rule_update,
)
from backend.alerts.services.rules import rule_check
from backend.ui.alerts.forms import ChannelForm, RuleForm, rule_initial
from backend.ui.alerts.lists import AlertList, alert_view, alerts_of, list_context
from backend.ui.alerts.words import delivery_state
from backend.ui.listing import live_url
from backend.ui.views.common import device_or_404, person, sentence

# -- alerts


def _list(request: HttpRequest) -> AlertList:
    return alerts_of(request.GET, base=reverse("alerts"))


def _list_context(request: HttpRequest) -> dict[str, Any]:
    shown = _list(request)
    rules = list(Rule.objects.order_by("name").values_list("pk", "name"))
    return list_context(shown, part=reverse("part-alerts")) | {"rules": rules}


@require(Permission.VIEW)
@require_safe
def alert_list_page(request: HttpRequest) -> HttpResponse:
    """What is wrong now; other alerts by the filters in the address."""
    return render(request, "ui/alerts.html", _list_context(request))


@require(Permission.VIEW)
@require_safe
def alerts_part(request: HttpRequest) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/alert_list.html", _list_context(request))


@require(Permission.VIEW)
@require_safe
def count_part(request: HttpRequest) -> HttpResponse:
    """How many open alerts nobody has acknowledged, for the navigation."""
    return render(request, "ui/parts/alert_count.html", {"counts": alert_counts()})


@require(Permission.VIEW)
@require_safe
def device_alerts_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What is wrong with a device now."""
    device = device_or_404(endpoint)
    return render(request, "ui/parts/device_alerts.html", {"device": device, "alerts": alerts_open(device=device)})


def _alert(pk: int) -> Alert:
    try:
        return alert_get(id=pk)
    except Alert.DoesNotExist:
        raise Http404("There is no such alert (any more).") from None


def _deliveries(**where: Any) -> list[dict[str, Any]]:
    return [{"delivery": one, "state": delivery_state(one)} for one in delivery_list(**where)]


def _alert_context(pk: int) -> dict[str, Any]:
    alert = _alert(pk)
    return {"one": alert_view(alert), "alert": alert, "deliveries": _deliveries(alert=alert),
            "live_url": live_url([alert.device])}  # fmt: skip


@require(Permission.VIEW)
@require_safe
def alert_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One alert: why, since when, who takes care, who was told."""
    return render(request, "ui/alert.html", _alert_context(pk))


@require(Permission.VIEW)
@require_safe
def alert_part(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/alert.html", _alert_context(pk))


def _back(request: HttpRequest, default: str) -> str:
    """Where the form was: an address of our own, or the default."""
    back = request.POST.get("back", "")
    ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return back if ours else default


def _told(request: HttpRequest, *, text: str = "", error: str = "", back: str) -> HttpResponse:
    """What came of it: beside the rows (htmx), else as a page."""
    if not request.htmx:  # type: ignore[attr-defined]
        if error:
            return render(request, "ui/refused.html", {"error": error, "back": back}, status=400)
        return HttpResponseRedirect(back)
    response = render(request, "ui/parts/told.html", {"text": text, "error": error})
    if not error:
        response.headers["HX-Trigger"] = "fn:alerts"
    return response


@require(Permission.OPERATE)
@require_POST
def acknowledge(request: HttpRequest) -> HttpResponse:
    """Those with the ids in the form, with a note."""
    ids = [int(text) for text in request.POST.getlist("id") if text.isascii() and text.isdecimal() and len(text) < 19]
    back = _back(request, reverse("alerts"))
    if not ids:
        return _told(request, error="Choose the alerts that you have seen.", back=back)
    try:
        count = alerts_acknowledge(alert_ids=ids, note=request.POST.get("note", ""), by=person(request))
    except AlertError as error:
        return _told(request, error=sentence(error), back=back)
    text = f"{count} alert{'' if count == 1 else 's'} acknowledged." if count else "Somebody was faster: nothing to do."
    return _told(request, text=text, back=back)


# -- rules


def _rule(pk: int) -> Rule:
    try:
        return rule_get(id=pk)
    except Rule.DoesNotExist:
        raise Http404("There is no such rule (any more).") from None


def _rules_context() -> dict[str, Any]:
    return {"rules": [{"rule": rule, "condition": texts.condition(rule)} for rule in rule_list()]}


@require(Permission.VIEW)
@require_safe
def rule_list_page(request: HttpRequest) -> HttpResponse:
    """All rules, with what they found."""
    return render(request, "ui/alert_rules.html", _rules_context())


@require(Permission.VIEW)
@require_safe
def rules_part(request: HttpRequest) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/alert_rules.html", _rules_context())


def _form_page(request: HttpRequest, form: RuleForm, *, rule: Rule | None, problem: str = "") -> HttpResponse:
    preview = _preview(form) if form.is_bound or rule else {}
    context = {"form": form, "rule": rule, "problem": problem, **preview}
    return render(request, "ui/alert_rule_form.html", context, status=400 if problem else 200)


def _preview(form: RuleForm) -> dict[str, Any]:
    """What the rule would do now, or why it cannot be."""
    if not form.is_bound:
        form = RuleForm({name: value for name, value in form.initial.items() if value not in (None, False)} | {
            "profile": getattr(form.initial.get("profile"), "pk", None) or "",
        })  # fmt: skip
    if not form.is_valid():
        return {"preview_problem": "See what is wrong in the form."}
    fields = form.rule_fields()
    try:
        rule = rule_check(type(fields)(**{**vars(fields), "name": fields.name or "preview", "channels": ()}))
    except AlertError as error:
        return {"preview_problem": sentence(error)}
    return {
        "preview": rule_preview(rule=rule, now=timezone.now()),
        "condition": texts.condition(rule),
        "previewed": rule,
    }


@require(Permission.OPERATE)
@require_POST
def preview_part(request: HttpRequest) -> HttpResponse:
    """The same while the form is being filled in."""
    return render(request, "ui/parts/alert_preview.html", _preview(RuleForm(request.POST)))


def _save(request: HttpRequest, rule: Rule | None) -> HttpResponse:
    form = RuleForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form, rule=rule, problem="Nothing was saved: see what is wrong below.")
    try:
        if rule is None:
            rule = rule_create(fields=form.rule_fields(), by=person(request))
        else:
            rule_update(rule=rule, fields=form.rule_fields(), by=person(request))
    except AlertError as error:
        return _form_page(request, form, rule=rule, problem=sentence(error))
    return HttpResponseRedirect(reverse("alert-rule", args=[rule.pk]))


@require(Permission.OPERATE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: HttpRequest) -> HttpResponse:
    """A new rule; `?path=` and `?device=` begin it."""
    if request.method == "POST":
        return _save(request, None)
    initial: dict[str, Any] = {}
    if request.GET.get("path"):
        initial["path"] = request.GET["path"][:64]
    if request.GET.get("device"):
        initial |= {"scope": "endpoints", "endpoints": request.GET["device"][:255]}
    return _form_page(request, RuleForm(initial=initial), rule=None)


@require(Permission.OPERATE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a rule."""
    rule = _rule(pk)
    if request.method == "POST":
        return _save(request, rule)
    return _form_page(request, RuleForm(initial=rule_initial(rule)), rule=rule)


def _rule_context(request: HttpRequest, pk: int) -> dict[str, Any]:
    rule = _rule(pk)
    shown = alerts_of(request.GET, base=reverse("alert-rule", args=[pk]), rule=rule)
    context = {"rule": rule, "condition": texts.condition(rule), "deliveries": _deliveries(rule=rule)}
    return context | list_context(shown, part=reverse("part-alert-rule", args=[pk]))


@require(Permission.VIEW)
@require_safe
def rule_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One rule: what it found, and whom it told."""
    return render(request, "ui/alert_rule.html", _rule_context(request, pk))


@require(Permission.VIEW)
@require_safe
def rule_part(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/alert_rule.html", _rule_context(request, pk))


@require(Permission.OPERATE)
@require_POST
def rule_act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Switches it on or off, or deletes it."""
    rule = _rule(pk)
    if action == "delete":
        rule_delete(rule=rule, by=person(request))
        return HttpResponseRedirect(reverse("alert-rules"))
    if action not in {"on", "off"}:
        raise Http404("A rule can be switched on, off, or deleted.")
    rule_enable(rule=rule, enabled=action == "on", by=person(request))
    return HttpResponseRedirect(_back(request, reverse("alert-rule", args=[pk])))


# -- channels


def _channel(pk: int) -> Channel:
    try:
        return channel_get(id=pk)
    except Channel.DoesNotExist:
        raise Http404("There is no such channel (any more).") from None


def _channels_page(request: HttpRequest, *, form: ChannelForm | None = None, problem: str = "") -> HttpResponse:
    context = {
        "channels": channel_list(),
        "form": form or ChannelForm(),
        "problem": problem,
        "email_configured": settings.EMAIL_CONFIGURED,
    }
    return render(request, "ui/alert_channels.html", context, status=400 if problem else 200)


@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
def channel_list_page(request: HttpRequest) -> HttpResponse:
    """Where messages can go; a form for another channel."""
    if request.method != "POST":
        return _channels_page(request)
    form = ChannelForm(request.POST)
    if not form.is_valid():
        return _channels_page(request, form=form, problem="Nothing was saved: see what is wrong below.")
    try:
        made = channel_create(**form.cleaned_data, by=person(request))
    except AlertError as error:
        return _channels_page(request, form=form, problem=sentence(error))
    return HttpResponseRedirect(reverse("alert-channel", args=[made.pk]))


def _channel_page(
    request: HttpRequest, channel: Channel, *, form: ChannelForm | None = None, problem: str = ""
) -> HttpResponse:
    if form is None:
        form = ChannelForm(initial={"name": channel.name, "kind": channel.kind, "target": channel.target})
    context = {"channel": channel, "form": form, "problem": problem, "deliveries": _deliveries(channel=channel),
               "email_configured": settings.EMAIL_CONFIGURED}  # fmt: skip
    return render(request, "ui/alert_channel.html", context, status=400 if problem else 200)


@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
def channel_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One channel and what was sent there. Its secret is not shown; an empty field keeps it."""
    channel = _channel(pk)
    if request.method != "POST":
        return _channel_page(request, channel)
    form = ChannelForm({**request.POST.dict(), "kind": channel.kind})
    if not form.is_valid():
        return _channel_page(request, channel, form=form, problem="Nothing was saved: see what is wrong below.")
    said = form.cleaned_data
    try:
        channel_update(
            channel=channel, name=said["name"], target=said["target"], secret=said["secret"], by=person(request)
        )  # fmt: skip
    except AlertError as error:
        return _channel_page(request, channel, form=form, problem=sentence(error))
    return HttpResponseRedirect(reverse("alert-channel", args=[pk]))


@require(Permission.ADMINISTER)
@require_safe
def channel_part(request: HttpRequest, pk: int) -> HttpResponse:
    """What was sent there, as it is now."""
    return render(request, "ui/parts/alert_deliveries.html", {"deliveries": _deliveries(channel=_channel(pk))})


@require(Permission.ADMINISTER)
@require_POST
def channel_act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Sends a test there, or deletes it."""
    channel = _channel(pk)
    if action == "delete":
        channel_delete(channel=channel, by=person(request))
        return HttpResponseRedirect(reverse("alert-channels"))
    if action != "test":
        raise Http404("A channel can be tested or deleted.")
    channel_test(channel=channel)
    back = reverse("alert-channel", args=[pk])
    return _told(request, text="A test is on its way: below is what came of it.", back=back)
