from typing import Any

import pytest

from backend.lwm2m.registrations import RegistrationError, registration_parse

RAW: dict[str, Any] = {
    "endpoint": 'büro "1"/a',
    "registrationId": "abc",
    "registrationDate": 1795368844253,
    "lastUpdate": 1795368850000,
    "address": "127.0.0.1:60800",
    "lwM2mVersion": "1.1",
    "lifetime": 300,
    "bindingMode": "U",
    "rootPath": "/",
    "objectLinks": [{"url": "/3/0", "attributes": {}}],
    "secure": True,
    "additionalRegistrationAttributes": {"a": "b"},
    "queuemode": True,
    "sleeping": False,
    "availableInstances": {"3": [0]},
}


def test_a_registration_as_leshan_gives_it() -> None:
    info = registration_parse(RAW)
    assert info.endpoint == 'büro "1"/a'
    assert info.registered_at.isoformat() == "2026-11-22T17:34:04.253000+00:00"
    assert (info.queue_mode, info.sleeping, info.secure, info.lifetime) == (True, False, True, 300)
    assert info.object_links == [{"url": "/3/0", "attributes": {}}]


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": ""},
        {"endpoint": "x" * 256},
        {"endpoint": 3},
        {"registrationId": None},
        {"objectLinks": {"url": "/3"}},
        {"objectLinks": ["/3"]},
        {"lifetime": -1},
        {"lifetime": "300"},
        {"registrationDate": 10**30},
    ],
)
def test_what_is_no_registration(change: dict[str, Any]) -> None:
    with pytest.raises(RegistrationError):
        registration_parse(RAW | change)


@pytest.mark.parametrize("raw", [None, [], "x", {}])
def test_other_json(raw: Any) -> None:
    with pytest.raises(RegistrationError):
        registration_parse(raw)


def test_what_a_device_made_up_fits_into_the_database() -> None:
    info = registration_parse(
        RAW
        | {
            "rootPath": "/" + "x" * 200,
            "address": "[" + "f" * 100,
            "lwM2mVersion": "1.1.1.1.1.1",
            "bindingMode": "UQSTNUQSTN",
            "objectLinks": [{"url": "/3/0", "attributes": {"t\x00": "a\x00b", "n": 1}}],
            "additionalRegistrationAttributes": {"k": "\x00"},
        }
    )
    assert (len(info.root_path), len(info.address), info.lwm2m_version, info.binding_mode) == (
        64,
        64,
        "1.1.1.1.",
        "UQSTNUQS",
    )
    assert info.object_links == [{"url": "/3/0", "attributes": {"t\ufffd": "a\ufffdb", "n": 1}}]
    assert info.additional_attributes == {"k": "\ufffd"}


@pytest.mark.parametrize("change", [{"endpoint": "a\x00b"}, {"registrationId": "r" * 65}, {"lifetime": 2**63}])
def test_what_no_database_could_hold_is_no_registration(change: dict[str, Any]) -> None:
    with pytest.raises(RegistrationError):
        registration_parse(RAW | change)
