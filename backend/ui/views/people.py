"""Who may do what: for administrators."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from backend.accounts.models import Role, User
from backend.accounts.permissions import Permission, require
from backend.accounts.selectors import user_get, user_list
from backend.accounts.services import (
    LastAdministratorError,
    user_create,
    user_reset_password,
    user_set_active,
    user_set_role,
)
from backend.ui.forms import ActiveForm, PersonForm, RoleForm
from backend.ui.views.common import person


@dataclass(frozen=True)
class Notice:
    """What came of it; `secret` is shown this once and kept nowhere."""

    text: str
    good: bool = True
    username: str = ""
    secret: str = ""


def _page(
    request: HttpRequest, *, form: PersonForm | None = None, notice: Notice | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "people": user_list(),
        "roles": Role.choices,
        "form": form or PersonForm(),
        "notice": notice,
    }
    return render(request, "ui/people.html", context, status=status)


def _person(pk: int) -> User:
    try:
        return user_get(pk=pk)
    except User.DoesNotExist:
        raise Http404("There is no such person (any more).") from None


@never_cache
@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("secret")
def people(request: HttpRequest) -> HttpResponse:
    """Everybody; POST adds a person and shows the one-time password, once."""
    if request.method != "POST":
        return _page(request)
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form)
    try:
        user, secret = user_create(
            username=form.cleaned_data["username"], role=form.cleaned_data["role"], by=person(request)
        )
    except ValidationError as error:
        # the role comes from a list: whatever is wrong is wrong with the name
        form.add_error("username", error.messages)
        return _page(request, form=form)
    text = f"{user.username} was added as {user.get_role_display().lower()}."
    return _page(request, notice=Notice(text, username=user.username, secret=secret))


@never_cache
@require(Permission.ADMINISTER)
@require_POST
def role(request: HttpRequest, pk: int) -> HttpResponse:
    """Gives a person another role."""
    user = _person(pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _page(request, notice=Notice("Choose one of the roles.", good=False))
    try:
        user_set_role(user=user, role=form.cleaned_data["role"], by=person(request))
    except LastAdministratorError as error:
        return _page(request, notice=Notice(str(error), good=False))
    return _page(request, notice=Notice(f"{user.username} is now {user.get_role_display().lower()}."))


@never_cache
@require(Permission.ADMINISTER)
@require_POST
def active(request: HttpRequest, pk: int) -> HttpResponse:
    """Shuts a person out, or lets them in again."""
    user = _person(pk)
    form = ActiveForm(request.POST)
    if not form.is_valid():
        return _page(request, notice=Notice("Say whether the person may sign in.", good=False))
    try:
        user_set_active(user=user, active=form.cleaned_data["active"], by=person(request))
    except LastAdministratorError as error:
        return _page(request, notice=Notice(str(error), good=False))
    text = f"{user.username} may sign in again." if user.is_active else f"{user.username} is shut out and signed out."
    return _page(request, notice=Notice(text))


@never_cache
@require(Permission.ADMINISTER)
@require_POST
@sensitive_variables("secret")
def password(request: HttpRequest, pk: int) -> HttpResponse:
    """A new one-time password, shown once."""
    user = _person(pk)
    secret = user_reset_password(user=user, by=person(request))
    text = f"{user.username} has a new one-time password and is signed out everywhere."
    return _page(request, notice=Notice(text, username=user.username, secret=secret))
