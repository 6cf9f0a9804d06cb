"""Who sees which page."""

import pytest
from django.test import Client
from django.urls import URLPattern

from backend.accounts.models import Role
from backend.accounts.permissions import Permission
from backend.ui.urls import urlpatterns
from tests.unit.api.builders import device, user

pytestmark = pytest.mark.django_db

PAGES = [
    "/",
    "/devices/",
    "/devices/dev-1/",
    "/devices/dev-1/?tab=connection",
    "/devices/dev-1/?tab=settings",
    "/settings/models/",
    "/parts/devices/settings/dev-1/",
    "/devices/dev-1/?at=/3/0/9",
    "/devices/dev-1/?tab=commands",
    "/commands/",
    "/commands/batches/",
    "/parts/commands/",
    "/parts/devices/commands/dev-1/",
    "/parts/devices/panel/dev-1/?at=/3/0/9",
    "/parts/devices/panel-live/dev-1/?at=/3/0/9",
    "/devices/dev-1/?tab=firmware",
    "/firmware/",
    "/firmware/images/",
    "/firmware/updates/",
    "/parts/firmware/campaigns/",
    "/parts/firmware/updates/",
    "/parts/devices/firmware/dev-1/",
    "/parts/devices/updates/dev-1/",
    "/map/",
    "/parts/map/",
    "/parts/map/track/dev-1/",
    "/logs/",
    "/devices/dev-1/?tab=logs",
    "/parts/logs/",
    "/parts/logs/?since=0&floor=0",
    "/parts/logs/choices/?what=module",
    "/parts/devices/logs/dev-1/",
    "/alerts/",
    "/alerts/rules/",
    "/parts/alerts/",
    "/parts/alerts/count/",
    "/parts/alerts/rules/",
    "/parts/devices/alerts/dev-1/",
    "/devices/dev-1/?tab=charts",
    "/explore/",
    "/explore/?s=dev-1/3303/0/5700",
    "/dashboards/",
    "/parts/series/",
    "/events/",
    "/events/raw/",
    "/statuses/",
    "/parts/pipeline/",
    "/parts/overview/",
    "/parts/devices/?id=1",
    "/parts/devices/head/dev-1/",
    "/parts/devices/values/dev-1/",
    "/parts/devices/connection/dev-1/",
]
FORMS = ["/accounts/people/1/role/", "/accounts/people/1/active/", "/accounts/people/1/password/"]


def test_every_view_names_the_permission_it_takes() -> None:
    permissions = {}
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        permissions[pattern.name] = getattr(pattern.callback, "required_permission", None)
    assert None not in permissions.values()
    operating = {name for name, permission in permissions.items() if permission == Permission.OPERATE}
    assert operating >= {
        "command-new", "command-ask", "command-act", "command-cancel", "command-repeat", "batch-cancel",
        "observation-clear", "part-bulk-input", "campaign-new", "campaign-act", "part-campaign-preview",
        "image-upload", "image-save", "image-delete", "update-new", "update-cancel", "update-retry",
        "alert-acknowledge", "alert-rule-new", "alert-rule-edit", "alert-rule-act", "part-alert-preview",
    }  # fmt: skip
    administering = {name for name, permission in permissions.items() if permission == Permission.ADMINISTER}
    assert administering == {
        "people", "person-role", "person-active", "person-password",
        "settings", "settings-profiles", "profile-new", "profile-edit", "profile-delete", "profile-rules", "part-rule",
        "settings-storage",
        "model-upload", "model-delete", "signing-keys", "signing-key-delete",
        "alert-channels", "alert-channel", "alert-channel-act", "part-alert-channel",
    }  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES, "/accounts/people/"])
def test_strangers_are_sent_to_the_login_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", list(Role))
def test_everybody_who_is_signed_in_may_look(client: Client, role: Role, path: str) -> None:
    device()
    client.force_login(user("ada", role))
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_people_are_for_administrators(client: Client, role: Role) -> None:
    client.force_login(user("ada", role))
    answer = client.get("/accounts/people/")
    assert answer.status_code == 403
    assert f"This needs the role administrator; yours is {role}." in answer.text
    for path in FORMS:
        assert client.post(path).status_code == 403
    # and there is no entry that leads nowhere
    assert "/accounts/people/" not in client.get("/").text


def test_looking_is_by_get_only_and_forms_by_post_only(administrator: Client) -> None:
    for path in PAGES:
        assert administrator.post(path).status_code in {404, 405}, path
    for path in FORMS:
        assert administrator.get(path).status_code == 405


def test_a_form_without_its_token_is_refused_and_says_what_to_do() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user("ada", Role.ADMINISTRATOR))
    answer = strict.post("/accounts/people/", {"username": "eve", "role": "viewer"})
    assert answer.status_code == 403
    assert "load the page again" in answer.text


def test_no_page_is_kept_from_the_content_security_policy(viewer: Client) -> None:
    answer = viewer.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text
