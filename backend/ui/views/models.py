"""Object models: those that are known, and definitions that people add."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, allowed, require
from backend.devices.models import ObjectDefinition, ObjectSpec
from backend.devices.selectors import definition_get, definition_list
from backend.devices.services import DefinitionError, definition_delete, definition_upload
from backend.ui.settings_forms import DefinitionForm
from backend.ui.settings_pages import model_get, model_list
from backend.ui.views.common import person


def _page(
    request: HttpRequest, *, form: DefinitionForm | None = None, added: ObjectDefinition | None = None
) -> HttpResponse:
    search = request.GET.get("search", "")
    context = {
        "definitions": definition_list(),
        "models": model_list(search=search),
        "search": search,
        "form": form or DefinitionForm(),
        "added": added,
        "may_administer": allowed(request.user, Permission.ADMINISTER),
    }
    return render(request, "ui/settings_models.html", context)


@require(Permission.VIEW)
@require_safe
def model_list_page(request: HttpRequest) -> HttpResponse:
    """Every object version that is known; `?search=` in id and name."""
    return _page(request)


@require(Permission.VIEW)
@require_safe
def model_page(request: HttpRequest, object_id: int, version: str) -> HttpResponse:
    """The resources of one object."""
    try:
        model = model_get(object_id=object_id, version=version)
    except ObjectSpec.DoesNotExist:
        raise Http404(f"Object {object_id} {version} is not known.") from None
    try:
        definition: ObjectDefinition | None = definition_get(object_id=object_id, version=version)
    except ObjectDefinition.DoesNotExist:
        definition = None
    return render(request, "ui/settings_model.html", {"model": model, "spec": model.spec, "definition": definition})


@require(Permission.ADMINISTER)
@require_POST
def model_upload(request: HttpRequest) -> HttpResponse:
    """Adds a definition; what is wrong with the file is said beside it."""
    form = DefinitionForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form=form)
    try:
        added = definition_upload(xml=form.cleaned_data["file"].read(), by=person(request))
    except DefinitionError as error:
        form.add_error("file", str(error))
        return _page(request, form=form)
    return _page(request, added=added)


@require(Permission.ADMINISTER)
@require_POST
def model_delete(request: HttpRequest, object_id: int, version: str) -> HttpResponse:
    """Removes an uploaded definition."""
    try:
        definition_delete(object_id=object_id, version=version)
    except ObjectDefinition.DoesNotExist:
        raise Http404("There is no such definition (any more).") from None
    return HttpResponseRedirect(reverse("settings-models"))
