"""Signing in, the one-time password, and what is not there."""

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from backend.accounts.models import Role, User
from backend.accounts.services import user_create, user_set_active

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
CHANGE = "/accounts/password/change/"
OWN = "correct horse battery"


def person(password: str = OWN, **fields: object) -> User:
    user = User(username="ada", email="ada@example.org", role=Role.OPERATOR, **fields)
    user.set_password(password)
    user.save()
    return user


def sign_in(client: Client, name: str, password: str) -> bool:
    answer = client.post(LOGIN, {"login": name, "password": password})
    assert answer.status_code in {200, 302, 429}
    return "_auth_user_id" in client.session


def test_signing_in_is_by_name(client: Client) -> None:
    person()
    assert not sign_in(client, "ada@example.org", OWN)
    assert not sign_in(client, "ada", OWN + "x")
    assert not sign_in(client, "nobody", OWN)
    assert sign_in(client, "ada", OWN)
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


def test_the_deactivated_stay_out(client: Client) -> None:
    person(is_active=False)
    assert not sign_in(client, "ada", OWN)


def test_guessing_is_slowed_down(client: Client) -> None:
    person()
    for _ in range(5):
        assert not sign_in(client, "ada", "guess")
    # even with the right one
    assert not sign_in(client, "ada", OWN)


def test_nobody_signs_up_and_no_page_asks_for_mail(client: Client) -> None:
    for name in ("account_signup", "account_email", "account_reset_password", "account_set_password"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
    client.force_login(person())
    for path in ("signup", "email", "password/reset", "password/set", "confirm-email"):
        assert client.get(f"/accounts/{path}/").status_code == 404


def test_a_one_time_password_is_changed_before_anything_else(client: Client) -> None:
    user, password = user_create(username="bob", role=Role.ADMINISTRATOR, by=None)
    assert sign_in(client, "bob", password)
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, CHANGE)
    answer = client.get("/devices/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.content) == (200, CHANGE, b"")
    answer = client.get("/api/v1/devices")
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Your password was for one use: choose your own first."}
    assert client.get(CHANGE).status_code == 200
    # the same once more is none of one's own
    form = {"oldpassword": password, "password1": password, "password2": password}
    answer = client.post(CHANGE, form)
    assert answer.status_code == 200
    assert b"choose another one" in answer.content
    # nor is a poor one
    assert client.post(CHANGE, {**form, "password1": "short", "password2": "short"}).status_code == 200
    assert User.objects.get(pk=user.pk).must_change_password
    elsewhere = Client()
    assert sign_in(elsewhere, "bob", password)
    answer = client.post(CHANGE, {"oldpassword": password, "password1": OWN, "password2": OWN})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert client.get("/api/v1/devices").status_code == 200
    # the session that only knew the old one has ended
    assert elsewhere.get("/api/v1/devices").status_code == 401
    assert sign_in(Client(), "bob", OWN)


def test_one_may_leave_instead(client: Client) -> None:
    user, _ = user_create(username="bob", role=Role.VIEWER, by=None)
    client.force_login(user)
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


def test_an_open_session_ends_with_the_account(client: Client) -> None:
    user = person()
    client.force_login(user)
    assert client.get("/api/v1/devices").status_code == 200
    user_set_active(user=user, active=False, by=None)
    assert client.get("/api/v1/devices").status_code == 401
    assert client.get("/devices/").status_code == 302
