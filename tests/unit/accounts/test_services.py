"""Adding people, roles, shutting out, passwords; the last administrator stays."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from backend.accounts.models import Role, User
from backend.accounts.services import (
    LastAdministratorError,
    administrator_ensure,
    administrator_reset,
    user_create,
    user_reset_password,
    user_set_active,
    user_set_own_password,
    user_set_role,
)
from tests.support.threads import in_threads, threads

__all__ = ["threads"]

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def administrator(name: str = "root") -> User:
    return User.objects.create(username=name, role=Role.ADMINISTRATOR)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    assert here(client) == user.pk
    return client


def here(client: Client) -> int | None:
    """Who the session still stands for."""
    request = client.get("/api/v1/openapi.json").wsgi_request
    return request.user.pk


def test_a_new_person_has_a_one_time_password() -> None:
    user, password = user_create(username=" ada ", email="ada@example.org", role=Role.OPERATOR, by=None)
    assert user.username == "ada"
    assert user.must_change_password
    assert user.check_password(password)
    assert len(password) >= 16
    assert user_create(username="bob", role="viewer", by=user)[1] != password


@pytest.mark.parametrize(
    ("name", "role", "field"),
    [
        ("", "viewer", "username"),
        ("a b", "viewer", "username"),
        ("x" * 151, "viewer", "username"),
        ("ok", "boss", "role"),
    ],
)
def test_what_makes_no_person(name: str, role: str, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        user_create(username=name, role=role, by=None)
    assert field in caught.value.message_dict


def test_a_name_is_taken_in_any_case_of_letters() -> None:
    user_create(username="Ada", role="viewer", by=None)
    for name in ("Ada", "ada", "ADA"):
        with pytest.raises(ValidationError):
            user_create(username=name, role="viewer", by=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="aDA")


def test_a_role_counts_at_once() -> None:
    root, ada = administrator(), User.objects.create(username="ada")
    user_set_role(user=ada, role=Role.OPERATOR, by=root)
    assert ada.role == Role.OPERATOR
    assert User.objects.get(pk=ada.pk).role == Role.OPERATOR
    with pytest.raises(ValidationError):
        user_set_role(user=ada, role="boss", by=root)


def test_the_last_administrator_stays() -> None:
    root = administrator()
    for change in (
        lambda: user_set_role(user=root, role=Role.VIEWER, by=root),
        lambda: user_set_active(user=root, active=False, by=root),
    ):
        with pytest.raises(LastAdministratorError, match="last active administrator"):
            change()
    # deactivated ones do not count
    second = administrator("second")
    user_set_active(user=second, active=False, by=root)
    with pytest.raises(LastAdministratorError):
        user_set_role(user=root, role=Role.OPERATOR, by=root)
    user_set_active(user=second, active=True, by=root)
    user_set_role(user=root, role=Role.OPERATOR, by=root)
    assert User.objects.get(pk=root.pk).role == Role.OPERATOR
    # what changes nothing is no harm
    user_set_role(user=second, role=Role.ADMINISTRATOR, by=second)
    user_set_active(user=second, active=True, by=second)


def test_a_stale_object_does_not_bring_back_old_rights() -> None:
    root, second = administrator(), administrator("second")
    stale = User.objects.get(pk=second.pk)
    user_set_role(user=second, role=Role.VIEWER, by=root)
    user_set_active(user=stale, active=False, by=root)
    stored = User.objects.get(pk=second.pk)
    assert (stored.role, stored.is_active) == (Role.VIEWER, False)


def test_deactivating_ends_sessions_for_good() -> None:
    root, ada = administrator(), User.objects.create(username="ada")
    client = signed_in(ada)
    user_set_active(user=ada, active=False, by=root)
    assert here(client) is None
    user_set_active(user=ada, active=True, by=root)
    assert here(client) is None
    signed_in(User.objects.get(pk=ada.pk))


def test_resetting_ends_sessions_and_the_old_password() -> None:
    ada, password = user_create(username="ada", role="viewer", by=None)
    client = signed_in(ada)
    new = user_reset_password(user=ada, by=None)
    assert here(client) is None
    stored = User.objects.get(pk=ada.pk)
    assert not stored.check_password(password)
    assert stored.check_password(new)
    assert stored.must_change_password


def test_an_own_password_ends_the_duty_to_change_it() -> None:
    ada, _ = user_create(username="ada", role="viewer", by=None)
    user_set_own_password(user=ada, password="my own words here")
    assert not User.objects.get(pk=ada.pk).must_change_password


def test_the_first_administrator() -> None:
    password = administrator_ensure(username="admin")
    assert password is not None
    assert len(password) >= 16
    made = User.objects.get(username="admin")
    assert made.role == Role.ADMINISTRATOR
    assert not made.must_change_password
    assert made.check_password(password)
    assert administrator_ensure(username="admin") is None
    assert administrator_ensure(username="other") is None
    assert User.objects.count() == 1


def test_a_name_that_somebody_else_has_is_not_made_administrator() -> None:
    User.objects.create(username="Admin")
    with pytest.raises(ValidationError, match="--reset"):
        administrator_ensure(username="admin")
    user, password = administrator_reset(username="admin")
    assert user.username == "Admin"
    assert user.role == Role.ADMINISTRATOR
    assert user.check_password(password)


def test_a_reset_brings_back_who_was_shut_out() -> None:
    ada = User.objects.create(username="ada", is_active=False, must_change_password=True)
    user, _ = administrator_reset(username="ada")
    assert user.pk == ada.pk
    assert user.is_active
    assert not user.must_change_password
    assert administrator_reset(username="new")[0].pk != ada.pk


def test_createsuperuser_makes_an_administrator() -> None:
    assert User.objects.create_superuser("boss", password="x").role == Role.ADMINISTRATOR
    assert User.objects.create_user("other").role == Role.VIEWER


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("threads")
def test_two_changes_at_once_leave_an_administrator() -> None:
    def prepare() -> tuple[User, User]:
        User.objects.all().delete()
        return administrator("one"), administrator("two")

    def active() -> int:
        return User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count()

    for _ in range(10):
        (pair,) = in_threads(prepare)
        assert isinstance(pair, tuple)
        one, two = pair
        results = in_threads(
            lambda one=one, two=two: user_set_role(user=one, role=Role.VIEWER, by=two),
            lambda one=one, two=two: user_set_active(user=two, active=False, by=one),
        )
        assert sorted(map(type, results), key=str) == sorted([type(None), LastAdministratorError], key=str), results
        assert in_threads(active) == [1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("threads")
def test_the_same_name_twice_at_once() -> None:
    results = in_threads(*[lambda: user_create(username="ada", role="viewer", by=None)] * 3)
    assert sorted(type(one).__name__ for one in results) == ["ValidationError", "ValidationError", "tuple"], results


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("threads")
def test_two_starts_at_once_make_one_administrator() -> None:
    results = in_threads(
        lambda: administrator_ensure(username="admin"),
        lambda: administrator_ensure(username="admin"),
        lambda: administrator_ensure(username="admin"),
    )
    assert sum(isinstance(one, str) for one in results) == 1, results
    # a loser sees that there is one, or (PostgreSQL has nothing to lock yet) that the name is taken
    assert all(one is None or isinstance(one, str | IntegrityError | ValidationError) for one in results), results
    assert in_threads(User.objects.count) == [1]
