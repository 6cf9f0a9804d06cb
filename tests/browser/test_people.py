"""Signing in, and people."""

from playwright.sync_api import expect

from tests.browser.conftest import Visitors

PASSWORD = "correct horse battery"


def test_signing_in_and_out(visit: Visitors) -> None:
    visitor = visit()
    page = visitor.go("/devices/?status=offline")
    page.get_by_label("Username").fill("vera")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not correct")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{visitor.url}/devices/?status=offline")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    page.get_by_label("Account of vera").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{visitor.url}/accounts/login/")


def test_a_person_is_added_and_comes_in_with_a_password_of_their_own(visit: Visitors) -> None:
    page = visit("ada").go("/accounts/people/")
    page.get_by_label("Name").fill("newcomer")
    page.get_by_label("Role", exact=True).select_option("operator")
    page.get_by_role("button", name="Add").click()
    secret = page.locator("#secret")
    expect(secret).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="newcomer")).to_be_focused()
    one_time = secret.inner_text()

    other = visit()
    new = other.go("/")
    new.get_by_label("Username").fill("newcomer")
    new.get_by_label("Password").fill(one_time)
    new.get_by_role("button", name="Sign in").click()
    expect(new.get_by_role("heading", name="Choose your own password")).to_be_visible()
    new.goto(f"{other.url}/devices/")
    expect(new.get_by_role("heading", name="Choose your own password")).to_be_visible()
    new.get_by_label("Current Password").fill(one_time)
    new.get_by_label("New Password", exact=True).fill(PASSWORD)
    new.get_by_label("New Password (again)").fill(PASSWORD)
    new.get_by_role("button", name="Set password").click()
    expect(new.get_by_role("heading", name="Overview")).to_be_visible()

    # the page is current by itself after the next change, and the question names what will happen
    page.get_by_role("button", name="Deactivate newcomer").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("signed out everywhere")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Deactivate newcomer")).to_be_visible()
    page.get_by_role("button", name="Deactivate newcomer").click()
    dialog.get_by_role("button", name="Go ahead").click()
    expect(page.get_by_role("button", name="Activate newcomer", exact=True)).to_be_visible()
    new.goto(f"{other.url}/devices/")
    expect(new.get_by_label("Password")).to_be_visible()


def test_the_last_administrator_stays(visit: Visitors) -> None:
    page = visit("ada").go("/accounts/people/")
    page.get_by_label("Role of ada", exact=True).select_option("viewer")
    page.get_by_role("button", name="Set the role of ada").click()
    expect(page.get_by_role("alert").filter(has_text="last active administrator")).to_be_visible()
    expect(page.get_by_label("Role of ada", exact=True)).to_have_value("administrator")


def test_what_does_not_work_is_said(visit: Visitors) -> None:
    visitor = visit("ada")
    visitor.expected = ["404 (Not Found)", "Response Status Error Code 404"]
    page = visitor.go("/accounts/people/")
    page.evaluate("document.querySelector('form[hx-post$=\"/role/\"]').setAttribute('hx-post', '/no/such/')")
    form = page.locator('form[hx-post="/no/such/"]')
    page.evaluate("htmx.process(document.querySelector('form[hx-post=\"/no/such/\"]'))")
    form.get_by_role("button").click()
    expect(page.get_by_role("alert").filter(has_text="That did not work")).to_contain_text("leads nowhere")


def test_a_form_of_an_ended_session_leads_to_the_login_page(visit: Visitors) -> None:
    visitor = visit("ada")
    page = visitor.go("/accounts/people/")
    visitor.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Set the role of vera").click()
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    assert "next=%2Faccounts%2Fpeople%2F" in page.url
