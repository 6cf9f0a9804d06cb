from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backend.sync.client import CredentialJson
from backend.sync.plan import (
    CredentialRow,
    DeviceFacts,
    ObservationRow,
    credential_json,
    credentials_plan,
    device_plan,
    digest,
    paths_wanted,
    retry_delay,
)

LINKS: list[dict[str, Any]] = [
    {"url": "/", "attributes": {}},
    {"url": "/0/0", "attributes": {}},
    {"url": "/1/0", "attributes": {}},
    {"url": "/3/0", "attributes": {}},
    {"url": "/3303", "attributes": {"ver": "1.1"}},
    {"url": "/3303/0", "attributes": {}},
    {"url": "/3303/7", "attributes": {}},
    {"url": "/5", "attributes": {}},
]


def entry(endpoint: str, **changes: Any) -> CredentialJson:
    made = credential_json(CredentialRow(endpoint, **{"mode": "x509", **changes}))
    assert made is not None
    return made


def test_credentials_as_leshan_wants_them() -> None:
    assert entry("a") == {"endpoint": "a", "tls": {"mode": "x509"}}
    assert entry("a", mode="psk", psk_identity="i", psk_key="00ff") == {
        "endpoint": "a",
        "tls": {"mode": "psk", "details": {"identity": "i", "key": "00ff"}},
    }
    certificates = (("bb", False), ("aa", False), ("cc", True))
    assert entry("a", certificates=certificates)["tls"]["certificates"] == ["aa", "bb"]


def test_a_device_whose_certificates_are_all_revoked_may_not_connect() -> None:
    assert credential_json(CredentialRow("a", "x509", certificates=(("aa", True),))) is None


def test_an_empty_server_gets_everything() -> None:
    wanted = {"a": entry("a"), "b": entry("b")}
    plan = credentials_plan(wanted=wanted, present={}, pushed={})
    assert (plan.put, plan.delete, plan.forget) == ([wanted["a"], wanted["b"]], [], [])


def test_what_is_there_and_right_is_left_alone() -> None:
    a = entry("a", mode="psk", psk_identity="i", psk_key="00ff")
    b = entry("b", certificates=(("aa", False),))
    shown: CredentialJson = {"endpoint": "a", "tls": {"mode": "psk", "details": {"identity": "i"}}}
    pushed = {"a": digest(a), "b": digest(b)}
    plan = credentials_plan(wanted={"a": a, "b": b}, present={"a": shown, "b": b}, pushed=pushed)
    assert (plan.put, plan.delete, plan.forget) == ([], [], [])


def test_a_changed_key_or_certificate_is_given_again() -> None:
    old, new = (entry("a", mode="psk", psk_identity="i", psk_key=key) for key in ("00", "11"))
    shown: CredentialJson = {"endpoint": "a", "tls": {"mode": "psk", "details": {"identity": "i"}}}
    assert credentials_plan(wanted={"a": new}, present={"a": shown}, pushed={"a": digest(old)}).put == [new]
    b = entry("b", certificates=(("aa", False),))
    wrong: CredentialJson = {"endpoint": "b", "tls": {"mode": "x509", "certificates": ["bb"]}}
    assert credentials_plan(wanted={"b": b}, present={"b": wrong}, pushed={"b": digest(b)}).put == [b]
    lost: CredentialJson = {"endpoint": "b", "tls": {"mode": "psk", "details": {"identity": "i"}}}
    assert credentials_plan(wanted={"b": b}, present={"b": lost}, pushed={"b": digest(b)}).put == [b]


def test_only_our_own_entries_are_removed() -> None:
    theirs, ours = entry("theirs"), entry("ours")
    plan = credentials_plan(
        wanted={}, present={"theirs": theirs, "ours": ours}, pushed={"ours": digest(ours), "gone": "x"}
    )
    assert (plan.put, plan.delete, plan.forget) == ([], ["ours"], ["gone"])


def wishes(*patterns: str, **attributes: float) -> list[tuple[str, dict[str, float]]]:
    return [(pattern, attributes) for pattern in patterns]


def test_patterns_become_paths_of_what_the_device_lists() -> None:
    patterns = [
        "/3/0/9",
        "/3303/*/5700",
        "/3303/7",
        "/3303/8/5700",
        "/4/0/2",
        "/5/0/3",
        "/3304/*/5700",
        "/3303/*",
        "/1",
    ]
    assert list(paths_wanted(wishes(*patterns), LINKS)) == [
        "/3/0/9",
        "/3303/0/5700",
        "/3303/7/5700",
        "/3303/7",
        "/5/0/3",
        "/3303/0",
        "/1",
    ]
    assert list(paths_wanted(wishes("/5/*/3", "nonsense", "/99999/0", "/3303/*/5700", "/3303/*/5700"), LINKS)) == [
        "/3303/0/5700",
        "/3303/7/5700",
    ]
    assert paths_wanted(wishes(*patterns), []) == {}


def facts(**changes: Any) -> DeviceFacts:
    known: dict[str, Any] = {
        "registration_id": "r2",
        "links": LINKS,
        "wishes": wishes("/3/0/9", "/3303/*/5700"),
        "observations": [],
        "known": {(1, 0): 5, (3303, 0): 2},
        "identified": False,
    }
    return DeviceFacts(**(known | changes))


def test_a_new_device_is_identified_observed_and_read() -> None:
    plan = device_plan(facts())
    assert plan.identify
    assert list(plan.observe) == list(plan.wanted) == ["/3/0/9", "/3303/0/5700", "/3303/7/5700"]
    # security is never read, object 3 was read just before
    assert plan.read == ["/3303/7"]
    assert plan.cancel == []


def test_what_only_observations_told_of_is_read_too() -> None:
    """The unit of a value that was told before the registration."""
    assert device_plan(facts(known={(1, 0): 5, (3303, 0): 1, (3303, 7): 3})).read == ["/3303/0"]


def test_an_observation_counts_in_its_own_registration_only() -> None:
    rows = [
        ObservationRow("/3/0/9", "active", "r1"),
        ObservationRow("/3303/0/5700", "active", "r2"),
        ObservationRow("/3303/7/5700", "failed", "r2"),
    ]
    assert list(device_plan(facts(observations=rows)).observe) == ["/3/0/9"]
    assert list(device_plan(facts(observations=rows), retry_failed=True).observe) == ["/3/0/9", "/3303/7/5700"]


def test_what_is_no_longer_wanted_is_cancelled() -> None:
    rows = [
        ObservationRow("/3/0/9", "active", "r2"),
        ObservationRow("/3/0/7", "active", "r2"),
        ObservationRow("/6", "active", "r1"),
    ]
    plan = device_plan(
        facts(
            observations=rows, wishes=wishes("/3/0/9"), identified=True, known={(1, 0): 5, (3303, 0): 1, (3303, 7): 1}
        )
    )
    assert (plan.identify, plan.observe, plan.cancel, plan.read) == (False, {}, ["/3/0/7"], [])


@given(st.integers(1, 10_000))
def test_delays_grow_to_their_bound(attempt: int) -> None:
    delay = retry_delay(attempt, first=0.2, most=5.0)
    assert 0.2 <= delay <= 5.0
    assert delay <= retry_delay(attempt + 1, first=0.2, most=5.0)
    assert retry_delay(1, first=0.2, most=5.0) == 0.2


def test_a_persons_word_overrides_the_profile() -> None:
    own = [("/3/0/9", False, {}), ("/3303/9/5700", True, {"pmin": 1.0}), ("/9999/0/1", True, {}), ("odd", True, {})]
    paths = paths_wanted(wishes("/3/0/9", "/3303/0/5700", gt=1.0), LINKS, own)
    # an instance that is not listed is tried, an object that the device does not have is not
    assert paths == {"/3303/0/5700": {"gt": 1.0}, "/3303/9/5700": {"pmin": 1.0}}


def test_attributes_are_written_with_the_observation_and_when_they_change() -> None:
    wanted = wishes("/3/0/9", pmin=1.0, pmax=60.0)
    plan = device_plan(facts(wishes=wanted))
    assert plan.observe == {"/3/0/9": {"pmin": 1.0, "pmax": 60.0}}

    def row(**changes: Any) -> ObservationRow:
        values = {"attributes": {"pmin": 1.0, "pmax": 60.0}, "attributes_set": {"pmin": 1.0, "pmax": 60.0}} | changes
        return ObservationRow("/3/0/9", "active", **({"registration_id": "r2"} | values))

    assert device_plan(facts(wishes=wanted, observations=[row()])).attributes == {}
    changed = device_plan(facts(wishes=wishes("/3/0/9", pmin=5.0), observations=[row()]))
    # what is no longer wanted is unset; the observation itself stays
    assert (changed.attributes, changed.observe) == ({"/3/0/9": {"pmin": 5.0, "pmax": None}}, {})
    refused = row(attributes_set={}, reason="attributes are not taken: BAD_REQUEST(400)")
    assert device_plan(facts(wishes=wanted, observations=[refused])).attributes == {}
    assert device_plan(facts(wishes=wishes("/3/0/9", pmin=5.0), observations=[refused])).attributes
    # nobody knows what a device kept over its registration
    older = row(registration_id="r1")
    assert device_plan(facts(wishes=wishes("/3/0/9"), observations=[older])).observe == {
        "/3/0/9": {"pmin": None, "pmax": None}
    }


def test_single_resources_are_observed_together() -> None:
    paths = [f"/3303/0/{number}" for number in range(5700, 5708)]
    plan = device_plan(facts(wishes=wishes(*paths, "/3303/0"), composite=True))
    assert [list(group) for group in plan.composites] == [paths[:6], paths[6:]]
    assert list(plan.observe) == ["/3303/0"]
    rows = [ObservationRow(path, "active", "r2", composite=True) for path in paths[:4]]
    same = device_plan(facts(wishes=wishes(*paths[:4]), observations=rows, composite=True))
    assert (same.composites, same.observe, same.cancel_composites) == ([], {}, [])
    # a group is ended as it was made, and made anew
    fewer = device_plan(facts(wishes=wishes(*paths[:3]), observations=rows, composite=True))
    assert fewer.cancel_composites == [tuple(paths[:4])]
    assert [list(group) for group in fewer.composites] == [paths[:3]]
    # a device that could not: one by one, for this registration
    alone = [ObservationRow(path, "active", "r2") for path in paths[:3]]
    single = device_plan(facts(wishes=wishes(*paths[:3]), observations=alone, composite=True))
    assert (single.composites, single.observe) == ([], {})
    # the profile wants them one by one from now on
    apart = device_plan(facts(wishes=wishes(*paths[:4]), observations=rows))
    assert (apart.cancel_composites, apart.composites) == ([tuple(paths[:4])], [])
    assert list(apart.observe) == paths[:4]


def test_attributes_do_not_stay_behind() -> None:
    row = ObservationRow("/3303/0/5700", "active", "r2", {"pmin": 5}, {"pmin": 5, "gt": 1})
    plan = device_plan(facts(wishes=[], observations=[row]))
    assert plan.cancel == ["/3303/0/5700"]
    assert plan.attributes == {"/3303/0/5700": {"pmin": None, "gt": None}}
    # of another registration: nobody knows what the device kept, and nothing is there that they could hold up
    assert device_plan(facts(wishes=[], observations=[replace(row, registration_id="r1")])).attributes == {}


def test_what_a_command_is_about_to_do_is_left_to_it() -> None:
    rows = [ObservationRow("/3303/0/5700", "active", "r2")]
    commanded = frozenset({"/3/0/9", "/3303/0/5700"})
    plan = device_plan(facts(wishes=wishes("/3/0/9"), observations=rows, commanded=commanded))
    assert (plan.observe, plan.cancel) == ({}, [])
    assert list(plan.wanted) == ["/3/0/9"]
