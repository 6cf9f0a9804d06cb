"""Administrators add people, change what they may do, and give one-time passwords."""

import re

import pytest
from django.test import Client

from backend.accounts.models import Role, User
from tests.unit.api.builders import user

pytestmark = pytest.mark.django_db

PEOPLE = "/accounts/people/"


def secret_of(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found
    return found[1]


def test_a_person_is_added_and_gets_in_with_the_password_that_was_shown(administrator: Client) -> None:
    answer = administrator.post(PEOPLE, {"username": "eve", "role": "operator"})
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    secret = secret_of(answer.text)
    # shown once
    assert secret not in administrator.get(PEOPLE).text
    eve = User.objects.get(username="eve")
    assert (eve.role, eve.must_change_password) == (Role.OPERATOR, True)
    browser = Client()
    browser.post("/accounts/login/", {"login": "eve", "password": secret})
    page = browser.get("/", follow=True)
    assert page.redirect_chain == [("/accounts/password/change/", 302)]
    assert "Choose your own password" in page.text
    form = {"oldpassword": secret, "password1": "correct horse battery", "password2": "correct horse battery"}
    assert browser.post("/accounts/password/change/", form).status_code == 302
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "This field is required."),
        ("EVE", "There is a user of this name already."),
        ("e e", "Enter a valid username"),
        ("x" * 151, "at most 150"),
    ],
)
def test_a_bad_name_says_what_is_wrong(administrator: Client, name: str, expected: str) -> None:
    user("eve")
    answer = administrator.post(PEOPLE, {"username": name, "role": "viewer"})
    assert answer.status_code == 200
    assert expected in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert User.objects.count() == 2


def test_a_role_that_is_none_is_refused(administrator: Client) -> None:
    eve = user("eve")
    administrator.post(PEOPLE, {"username": "bob", "role": "root"})
    assert not User.objects.filter(username="bob").exists()
    assert "Choose one of the roles." in administrator.post(f"{PEOPLE}{eve.pk}/role/", {"role": "root"}).text


def test_roles_change(administrator: Client) -> None:
    eve = user("eve")
    answer = administrator.post(f"{PEOPLE}{eve.pk}/role/", {"role": "administrator"})
    assert "eve is now administrator." in answer.text
    eve.refresh_from_db()
    assert eve.role == Role.ADMINISTRATOR


def test_deactivating_signs_out_and_activating_lets_in_again(administrator: Client) -> None:
    eve = user("eve")
    browser = Client()
    browser.force_login(eve)
    assert browser.get("/").status_code == 200
    assert "eve is shut out" in administrator.post(f"{PEOPLE}{eve.pk}/active/", {"active": "0"}).text
    assert browser.get("/").status_code == 302
    assert "Deactivated" in administrator.get(PEOPLE).text
    assert "eve may sign in again." in administrator.post(f"{PEOPLE}{eve.pk}/active/", {"active": "1"}).text
    assert "Say whether" in administrator.post(f"{PEOPLE}{eve.pk}/active/", {"active": "maybe"}).text


def test_a_new_one_time_password_ends_sessions(administrator: Client) -> None:
    eve = user("eve")
    browser = Client()
    browser.force_login(eve)
    page = administrator.post(f"{PEOPLE}{eve.pk}/password/").text
    assert browser.get("/").status_code == 302
    eve.refresh_from_db()
    assert eve.check_password(secret_of(page))


def test_the_last_administrator_cannot_go(administrator: Client) -> None:
    ada = User.objects.get(username="ada")
    user("second", Role.ADMINISTRATOR, is_active=False)
    for address, form in (("role", {"role": "viewer"}), ("active", {"active": "0"})):
        answer = administrator.post(f"{PEOPLE}{ada.pk}/{address}/", form)
        assert answer.status_code == 200
        assert "This is the last active administrator" in answer.text
    ada.refresh_from_db()
    assert ada.is_active
    assert ada.role == Role.ADMINISTRATOR


def test_somebody_who_is_gone_is_a_404(administrator: Client) -> None:
    for form in ("role", "active", "password"):
        assert administrator.post(f"{PEOPLE}4711/{form}/", {"role": "viewer", "active": "0"}).status_code == 404


def test_the_page_is_for_all_accounts_of_any_number(administrator: Client) -> None:
    for number in range(30):
        user(f"person{number}")
    assert administrator.get(PEOPLE).text.count("New one-time password for person") == 30
