"""What people want observed, and what is known of objects: brought to real devices, and kept there."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import NewStack
from tests.support.control import Control
from tests.support.events import said_values
from tests.support.scene import Scene
from tests.support.stack import ROOT
from tests.support.waiting import wait_for

DEFINITION = ROOT / "leshan" / "fleet" / "src" / "main" / "resources" / "objects" / "33000.xml"
BUNDLED = """<?xml version="1.0" encoding="utf-8"?>
<LWM2M><Object ObjectType="MODefinition"><Name>Own Temperature</Name><Description1/><ObjectID>3303</ObjectID>
<ObjectURN>urn:oma:lwm2m:ext:3303:1.1</ObjectURN><LWM2MVersion>1.1</LWM2MVersion><ObjectVersion>1.1</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory><Resources>
<Item ID="5700"><Name>Own Value</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Float</Type><RangeEnumeration/><Units>Cel</Units><Description/></Item>
</Resources><Description2/></Object></LWM2M>
"""
TEMPERATURE = "/3303/0/5700"
HUMIDITY = "/3304/0/5700"
SWITCH = "/3311/0/5850"
DIMMER = "/3311/0/5851"
SLEEPER = "sim-8"
COUNT = 8
FLEET = ("--interval", "1", "--boot-seconds", "0.2", "--backoff", "0.2")


class Wishes(Control):
    """An administrator's wishes, and what came of them."""

    # what they are told to do wrong, and what they say of themselves
    devices: Scene

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """A change that is accepted."""
        answer = self.person.send(method, path, body)
        assert answer.status_code in {200, 201}, f"{answer.status_code} {answer.text}"
        return answer.json()

    def profile(self, name: str, *devices: str, observations: dict[str, dict[str, Any]], **fields: Any) -> Any:
        """A new profile, given to these devices by hand."""
        wishes = [{"path": path, "attributes": attributes} for path, attributes in observations.items()]
        made = self.send("POST", "/profiles", {"name": name, "observations": wishes, **fields})
        if devices:
            self.send("PATCH", "/devices", {"devices": list(devices), "profile": name})
        return made

    def change(self, profile: Any, **fields: Any) -> None:
        """The profile with other words in these fields."""
        body = {key: value for key, value in profile.items() if key not in {"id", "devices"}} | fields
        self.send("PUT", f"/profiles/{profile['id']}", body)

    def profile_of(self, device: str) -> Any:
        """The name of its profile."""
        return self.person.device(device)["profile"]

    def rows(self, device: str) -> dict[str, Any]:
        """Path → what is wanted and real."""
        return {row["path"]: row for row in self.person.api("/observations", device=device)["items"]}

    def wait_rows(self, device: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The rows, once this holds of them."""

        def look() -> list[dict[str, Any]]:
            rows = self.rows(device)
            return [rows] if holds(rows) else []

        return wait_for(look, what=lambda: f"{device}: {self.rows(device)}\n{self.stack.log_tails()}")[0]

    def wait_active(self, device: str, *paths: str) -> dict[str, Any]:
        """Until these paths, and no others, are observed."""
        return self.wait_rows(
            device,
            lambda rows: rows.keys() == set(paths) and all(row["state"] == "active" for row in rows.values()),
        )

    def want_nothing(self, device: str) -> None:
        """No profile: the default one's observations, which are there already, end."""
        self.send("PATCH", f"/devices/{device}", {"profile": None})
        self.wait_active(device)

    def device_attributes(self, device: str, path: str) -> dict[str, Any]:
        """What the device itself says is set on a resource; Leshan's words where it is away."""
        answer = self.stack.leshan("GET", self.stack.client_path(device, f"{path}/discover"))
        if answer.status_code != 200:
            return {answer.text: 0.0}
        links = answer.json()["objectLinks"]
        found = next(link for link in links if link["url"] == path)
        return {name: float(value) for name, value in found.get("attributes", {}).items()}

    def wait_attributes(self, device: str, path: str, attributes: dict[str, float]) -> None:
        """Until the device says exactly these."""
        wait_for(
            lambda: self.device_attributes(device, path) == attributes,
            what=lambda: (
                f"{attributes}: {self.device_attributes(device, path)}, {self.rows(device)}\n{self.stack.log_tails()}"
            ),
        )

    def behind_our_back(self, device: str, path: str, value: Any, type_: str = "INTEGER") -> None:
        """Writes past the commands, so that only an observation can tell of it."""
        node = {"kind": "singleResource", "id": int(path.rpartition("/")[2]), "type": type_, "value": value}
        answer = self.stack.leshan("PUT", self.stack.client_path(device, path), json=node).json()
        assert answer["success"], answer

    def object_name(self, device: str, object_id: int) -> str | None:
        """By Leshan's word."""
        specs = self.stack.leshan("GET", f"/api/objectspecs/{device}").json()
        return next((spec["name"] for spec in specs if spec["id"] == object_id), None)


@pytest.fixture(scope="module")
def scene(new_stack: NewStack) -> Wishes:
    """Everything, with a few devices; the last one sleeps far more than its profile says."""
    stack = new_stack()
    behaviour = Scene(stack)
    devices = [f"sim-{number}" for number in range(1, COUNT + 1)]
    stack.provision(*devices, "late-1")
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    scene = Wishes(stack)
    scene.devices = behaviour
    scene.profile("Sleepy", SLEEPER, observations={TEMPERATURE: {}}, awake_seconds=8)
    stack.start_fleet(
        *("--test-object", "--fault-file", str(behaviour.faults), "--report", str(behaviour.report)),
        *("--sleepers", "1", "--awake-seconds", "2", "--sleep-seconds", "6", *FLEET),
        count=COUNT,
    )
    stack.wait_online(*devices)
    return scene


# -- observations


def test_observations_and_attributes_outlive_a_reboot(scene: Wishes) -> None:
    """Both are on the device, and are there again in its next registration."""
    device, wanted = "sim-1", {"pmin": 1.0, "pmax": 60.0}
    profile = scene.profile("Timed", device, observations={"/3303/*/5700": {"pmin": 1, "pmax": 60}, DIMMER: {}})
    scene.wait_active(device, TEMPERATURE, DIMMER)
    scene.wait_attributes(device, TEMPERATURE, wanted)
    rows = scene.wait_rows(device, lambda rows: bool(rows[TEMPERATURE]["attributes_set"]))
    assert rows[TEMPERATURE]["attributes_set"] == wanted
    assert rows[TEMPERATURE]["source"] == "profile"
    # whether or not this device forgets them in a reboot: now they are gone
    target = scene.stack.client_path(device, f"{TEMPERATURE}/attributes?pmin&pmax")
    assert scene.stack.leshan("PUT", target).json()["success"]
    assert scene.device_attributes(device, TEMPERATURE) == {}

    def registration() -> Any:
        return scene.stack.scalar(
            "SELECT registration_id FROM devices_registration r JOIN devices_device d ON d.id = r.device_id"
            " WHERE d.endpoint = ? AND ended_at IS NULL",
            device,
        )

    registered = registration()
    scene.succeeds(device, "execute", "/3/0/4")
    wait_for(lambda: registration() not in {None, registered}, what=lambda: f"a new one:\n{scene.stack.log_tails()}")
    scene.wait_attributes(device, TEMPERATURE, wanted)
    scene.wait_active(device, TEMPERATURE, DIMMER)
    scene.stack.wait_more_samples(device, more=2)

    # a change of the profile reaches devices that are online: what is wanted no more is unset
    change = [
        {"path": "/3303/*/5700", "attributes": {"pmin": 2, "gt": 30.5}},
        {"path": HUMIDITY, "attributes": {}},
    ]
    scene.change(profile, observations=change)
    scene.wait_active(device, TEMPERATURE, HUMIDITY)
    scene.wait_attributes(device, TEMPERATURE, {"pmin": 2.0, "gt": 30.5})
    scene.change(profile, observations=[{"path": HUMIDITY, "attributes": {}}])
    scene.wait_active(device, HUMIDITY)
    scene.wait_attributes(device, TEMPERATURE, {})


def test_own_observations_override_the_profile(scene: Wishes) -> None:
    """Added, taken away, and left to the profile again."""
    device, stack = "sim-2", scene.stack
    scene.profile("Light", device, observations={SWITCH: {}})
    scene.wait_active(device, SWITCH)
    scene.send("PUT", "/observations", {"device": device, "path": DIMMER, "attributes": {"pmin": 0, "pmax": 300}})
    rows = scene.wait_active(device, SWITCH, DIMMER)
    assert (rows[DIMMER]["source"], rows[SWITCH]["source"]) == ("device", "profile")
    scene.wait_attributes(device, DIMMER, {"pmin": 0.0, "pmax": 300.0})
    scene.behind_our_back(device, DIMMER, "42")
    scene.wait_value(device, DIMMER, 42)

    answer = scene.person.http.delete(
        f"{stack.web_url}/api/v1/observations",
        params={"device": device, "path": DIMMER},
        headers={"X-CSRFToken": scene.person.http.cookies["csrftoken"], "Referer": stack.web_url},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    scene.wait_active(device, SWITCH)
    scene.wait_attributes(device, DIMMER, {})
    before = stack.head()
    scene.behind_our_back(device, DIMMER, "43")
    scene.behind_our_back(device, SWITCH, "true", "BOOLEAN")
    scene.wait_value(device, SWITCH, True)
    told = {value.path for value in said_values(stack.journal(after=before)) if value.endpoint == device}
    assert DIMMER not in told

    scene.send("PUT", "/observations", {"device": device, "path": SWITCH, "wanted": False})
    row = scene.wait_rows(device, lambda rows: rows[SWITCH]["state"] == "")[SWITCH]
    assert (row["wanted"], row["source"]) == (False, "device")


def test_refused_observations_do_not_hold_up_others(scene: Wishes) -> None:
    """Each with the device's reason; objects that it has not are not asked for."""
    device = "sim-3"
    scene.want_nothing(device)
    scene.devices.fault(
        f"{device}:{HUMIDITY}@observe=method_not_allowed", f"{device}:{TEMPERATURE}@attributes=bad_request"
    )
    observations: dict[str, dict[str, Any]] = {"/3303/*/5700": {"pmin": 1}, "/3304/*/5700": {}, "/4711/0/1": {}}
    scene.profile("Refused", device, observations=observations)
    rows = scene.wait_rows(
        device,
        lambda rows: {path: row["state"] for path, row in rows.items()} == {TEMPERATURE: "active", HUMIDITY: "failed"},
    )
    assert rows[HUMIDITY]["reason"].startswith("The device refuses: 4.05 method not allowed"), rows
    # the observation holds though the device does not take its attributes
    assert "attributes are not taken" in rows[TEMPERATURE]["reason"], rows
    assert "4.00" in rows[TEMPERATURE]["reason"], rows
    assert (rows[TEMPERATURE]["attributes"], rows[TEMPERATURE]["attributes_set"]) == ({"pmin": 1.0}, {})
    scene.stack.wait_more_samples(device, more=1)
    assert not scene.device_attributes(device, TEMPERATURE)

    # another try with the next registration
    scene.devices.fault()
    scene.succeeds(device, "execute", "/3/0/4")
    rows = scene.wait_active(device, TEMPERATURE, HUMIDITY)
    assert rows[TEMPERATURE]["attributes_set"] == {"pmin": 1.0}
    assert not rows[TEMPERATURE]["reason"]
    scene.wait_attributes(device, TEMPERATURE, {"pmin": 1.0})


def test_composite_observation(scene: Wishes) -> None:
    """One for all paths brings the values of each; a change of the paths makes another one."""
    device = "sim-4"
    scene.want_nothing(device)
    paths = [SWITCH, DIMMER, HUMIDITY]
    profile = scene.profile("Together", device, observations={path: {} for path in paths}, composite=True)
    rows = scene.wait_active(device, *paths)
    assert all(row["composite"] for row in rows.values()), rows
    scene.behind_our_back(device, DIMMER, "17")
    scene.wait_value(device, DIMMER, 17)
    wishes = [{"path": path, "attributes": {}} for path in (DIMMER, SWITCH, "/3306/0/5850")]
    scene.change(profile, observations=wishes)
    rows = scene.wait_active(device, DIMMER, SWITCH, "/3306/0/5850")
    assert all(row["composite"] for row in rows.values()), rows
    scene.behind_our_back(device, DIMMER, "18")
    scene.wait_value(device, DIMMER, 18)
    # and one by one again
    scene.change(profile, composite=False)
    rows = scene.wait_rows(
        device, lambda rows: all((row["state"], row["composite"]) == ("active", False) for row in rows.values())
    )
    scene.behind_our_back(device, DIMMER, "19")
    scene.wait_value(device, DIMMER, 19)


def test_composite_observation_refused(scene: Wishes) -> None:
    """A device that knows none gets single ones, in the same registration."""
    device = "sim-5"
    scene.want_nothing(device)
    scene.devices.fault(f"{device}:/@observe=method_not_allowed*1")
    scene.profile("Apart", device, observations={SWITCH: {}, DIMMER: {"pmax": 200}}, composite=True)
    rows = scene.wait_active(device, SWITCH, DIMMER)
    assert not any(row["composite"] or row["reason"] for row in rows.values()), rows
    scene.wait_attributes(device, DIMMER, {"pmax": 200.0})
    scene.behind_our_back(device, DIMMER, "21")
    scene.wait_value(device, DIMMER, 21)
    scene.devices.fault()


# -- which device has which profile


def test_rules(scene: Wishes) -> None:
    """By endpoint at once, by model as soon as that is known; a person's choice stays until it is taken back."""
    scene.profile("By name", observations={SWITCH: {}})
    scene.profile("By model", observations={HUMIDITY: {}})
    rules = [
        {"profile": "By name", "endpoint": "SIM-6"},
        {"profile": "By model", "endpoint": "late-*", "manufacturer": "Flow*", "model": "Simulated ?ensor"},
    ]
    scene.send("PUT", "/rules", {"items": rules})
    scene.wait_active("sim-6", SWITCH)
    assert scene.profile_of("sim-6") == "By name"
    assert scene.profile_of("late-1") == "Default"

    scene.send("PATCH", "/devices/sim-6", {"profile": "By model"})
    scene.send("PUT", "/rules", {"items": rules})
    scene.wait_active("sim-6", HUMIDITY)
    scene.send("PATCH", "/devices/sim-6", {"by_rules": True})
    scene.wait_active("sim-6", SWITCH)

    scene.stack.start_fleet(*FLEET, count=1, endpoint="late-{n}", name="late")
    scene.wait_active("late-1", HUMIDITY)
    assert scene.profile_of("late-1") == "By model"
    scene.send("PUT", "/rules", {"items": []})
    assert (scene.profile_of("sim-6"), scene.profile_of("late-1")) == ("Default", "Default")
    scene.wait_rows("sim-6", lambda rows: rows.get(TEMPERATURE, {}).get("state") == "active")


# -- object definitions


def wait_known(scene: Wishes, object_id: int, name: str | None, *, page: str, not_page: str = "") -> None:
    """Until Leshan and the device's page have this definition."""
    wait_for(
        lambda: scene.object_name("sim-7", object_id) == name,
        what=lambda: f"{name!r}: {scene.object_name('sim-7', object_id)!r}\n{scene.stack.log_tails()}",
    )

    def shown() -> bool:
        text: str = scene.person.page("/devices/sim-7/").text
        return page in text and (not not_page or not_page not in text)

    wait_for(shown, what=lambda: f"{page!r}, not {not_page!r}, on the page\n{scene.stack.log_tails()}")


def test_own_object_definitions(scene: Wishes) -> None:
    """Used by Leshan and pages at once, without a restart; replaced; and gone when it is deleted."""
    wait_known(scene, 33000, None, page="33000", not_page="FlowNexus Test")
    xml = DEFINITION.read_text()
    scene.send("POST", "/definitions", {"xml": xml})
    wait_known(scene, 33000, "FlowNexus Test", page="FlowNexus Test")
    # what comes is decoded by it from now on
    assert scene.succeeds("sim-7", "read", "/33000/0/3")["answer"]["content"]["type"] == "FLOAT"
    refused = scene.person.send(
        "POST", "/commands", {"device": "sim-7", "kind": "write", "path": "/33000/0/1", "value": "x"}
    )
    assert refused.status_code == 400, refused.text

    scene.send("POST", "/definitions", {"xml": xml.replace("FlowNexus Test", "Renamed Test")})
    wait_known(scene, 33000, "Renamed Test", page="Renamed Test", not_page="FlowNexus Test")
    assert scene.person.api("/definitions")["items"][0]["problem"] == ""

    scene.send("DELETE", "/definitions/33000/1.0")
    wait_known(scene, 33000, None, page="33000", not_page="Renamed Test")


def test_a_bundled_definition_comes_back(scene: Wishes) -> None:
    """An own one goes before it; without that it is as before, and never in between is nothing known."""
    wait_known(scene, 3303, "Temperature", page="Temperature", not_page="Own Temperature")
    scene.send("POST", "/definitions", {"xml": BUNDLED})
    wait_known(scene, 3303, "Own Temperature", page="Own Temperature")
    scene.send("DELETE", "/definitions/3303/1.1")
    assert "Temperature" in scene.person.page("/devices/sim-7/").text
    wait_known(scene, 3303, "Temperature", page="Temperature", not_page="Own Temperature")


# -- how long a device listens


def test_a_sleeper_that_sleeps_earlier_than_its_profile_says(scene: Wishes) -> None:
    """The first request that nobody hears teaches the window; commands succeed all the same."""
    stack = scene.stack

    def learned() -> int | None:
        seconds: int | None = stack.scalar("SELECT awake_seconds FROM devices_device WHERE endpoint = ?", SLEEPER)
        return seconds

    def unnoticed() -> bool:
        return scene.devices.device(SLEEPER)["asleep"] and stack.status(SLEEPER) == "online"

    assert learned() is None
    wait_for(lambda: not scene.devices.device(SLEEPER)["asleep"], what="the device is awake")
    wait_for(unnoticed, what="the device sleeps, and Leshan does not know")
    commands = [scene.ask(SLEEPER, "read", "/3/0/0") for _ in range(5)]
    ended = [scene.wait_end(command, timeout=40) for command in commands]
    assert {one["state"] for one in ended} == {"succeeded"}, ended
    assert max(one["attempts"] for one in ended) > 1
    assert learned() in {4, 2}
    # Leshan goes by it, too: it tells of sleep before it wakes up
    stack.wait_status("asleep", SLEEPER)
    # the profile's word, when it is a new one, counts again
    profile = next(one for one in scene.person.api("/profiles")["items"] if one["name"] == "Sleepy")
    scene.change(profile, awake_seconds=30)
    wait_for(lambda: learned() is None, what=lambda: f"forgotten: {learned()}")
