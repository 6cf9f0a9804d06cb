"""Profiles, and the rules that say which device gets which."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import Profile
from backend.devices.selectors import profile_get, profile_list, rule_list
from backend.devices.services import profile_create, profile_delete, profile_rules_set, profile_update
from backend.devices.services.profiles import ProfileError, Rule, WantedPath
from backend.ui.settings_forms import ObservedPathFormSet, ProfileForm, RuleFormSet
from backend.ui.settings_pages import rule_matches
from backend.ui.views.common import sentence

PATTERNS = ("endpoint", "manufacturer", "model")


def _profile(pk: int) -> Profile:
    try:
        return profile_get(id=pk)
    except Profile.DoesNotExist:
        raise Http404("There is no such profile (any more).") from None


def _kept(formset: Any, name: str) -> list[Any]:
    """The forms whose row is neither removed nor empty."""
    kept = [form for form in formset.forms if form not in formset.deleted_forms]
    return [form for form in kept if form.has_changed() and form.cleaned_data.get(name) is not None]


# -- rules


def _rules() -> Any:
    rows = [
        {"endpoint": one.endpoint, "manufacturer": one.manufacturer, "model": one.model, "profile": one.profile_id}
        for one in rule_list()
    ]
    formset = RuleFormSet(initial=rows, prefix="rules")
    for form in formset.forms:
        form.matches = rule_matches(
            **{name: form.initial.get(name, "") for name in ("endpoint", "manufacturer", "model")}
        )
    return formset


def _list_page(request: HttpRequest, *, rules: Any = None, problem: str = "") -> HttpResponse:
    context = {"profiles": profile_list(), "rules": rules or _rules(), "problem": problem}
    return render(request, "ui/settings_profiles.html", context)


@require(Permission.ADMINISTER)
@require_safe
def profile_list_page(request: HttpRequest) -> HttpResponse:
    """All profiles, and the rules."""
    return _list_page(request)


@require(Permission.ADMINISTER)
@require_POST
def rules_save(request: HttpRequest) -> HttpResponse:
    """Makes the rules exactly those of the form, in their order."""
    formset = RuleFormSet(request.POST, prefix="rules")
    if not formset.is_valid():
        return _list_page(request, rules=formset, problem="Nothing was saved: see what is wrong below.")
    forms = [form for form in _kept(formset, "profile") if any(form.patterns.values())]
    # a row without a number stands where it stands in the form
    places = {form: index for index, form in enumerate(formset.forms, start=1)}
    forms.sort(key=lambda form: (form.cleaned_data.get("ORDER") or places[form], places[form]))
    try:
        profile_rules_set(rules=[Rule(profile_id=form.cleaned_data["profile"].pk, **form.patterns) for form in forms])
    except ProfileError as error:
        return _list_page(request, rules=formset, problem=sentence(error))
    return HttpResponseRedirect(reverse("settings-profiles"))


@require(Permission.ADMINISTER)
@require_safe
def rule_preview(request: HttpRequest) -> HttpResponse:
    """How many devices a row of the form matches, while it is typed."""
    row = request.GET.get("row", "")
    values = {name: request.GET.get(f"{row}-{name}", "") for name in ("endpoint", "manufacturer", "model")}
    return render(
        request, "ui/parts/rule_matches.html", {"matches": rule_matches(**values), "any": any(values.values())}
    )


# -- one profile


def _form_page(
    request: HttpRequest, *, profile: Profile | None, form: ProfileForm, paths: Any, problem: str = ""
) -> HttpResponse:
    context = {"profile": profile, "form": form, "paths": paths, "problem": problem}
    return render(request, "ui/settings_profile.html", context)


def _initial(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in ProfileForm.base_fields}


def _save(request: HttpRequest, profile: Profile | None) -> HttpResponse:
    form, paths = ProfileForm(request.POST), ObservedPathFormSet(request.POST, prefix="paths")
    valid = [form.is_valid(), paths.is_valid()]
    if not all(valid):
        return _form_page(request, profile=profile, form=form, paths=paths, problem="Nothing was saved: see below.")
    rows = [one for one in paths.forms if one not in paths.deleted_forms and one.has_changed()]
    observations = [WantedPath(path=one.cleaned_data["path"], attributes=one.attributes) for one in rows]
    try:
        if profile is None:
            profile_create(observations=observations, **form.cleaned_data)
        else:
            profile_update(profile=profile, observations=observations, **form.cleaned_data)
    except ProfileError as error:
        return _form_page(request, profile=profile, form=form, paths=paths, problem=sentence(error))
    return HttpResponseRedirect(reverse("settings-profiles"))


@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
def profile_new(request: HttpRequest) -> HttpResponse:
    """A new profile."""
    if request.method == "POST":
        return _save(request, None)
    form = ProfileForm(initial=_initial(Profile()))
    return _form_page(request, profile=None, form=form, paths=ObservedPathFormSet(prefix="paths"))


@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
def profile_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """A profile and what it observes."""
    profile = _profile(pk)
    if request.method == "POST":
        return _save(request, profile)
    form = ProfileForm(initial=_initial(profile))
    rows = [{"path": one.path, **one.attributes} for one in profile.observations.all()]
    return _form_page(request, profile=profile, form=form, paths=ObservedPathFormSet(initial=rows, prefix="paths"))


@require(Permission.ADMINISTER)
@require_POST
def profile_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes the profile; its devices get what the rules say."""
    profile_delete(profile=_profile(pk))
    return HttpResponseRedirect(reverse("settings-profiles"))
