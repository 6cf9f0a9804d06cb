"""Every end is explained, in the code and in the docs."""

import re
from pathlib import Path

import pytest

from backend.firmware.endings import ENDINGS, RESULT_CODES, WAITING, ending_reason
from backend.firmware.models import ENDED, FirmwareUpdate
from backend.firmware.versions import version_same

DOCS = Path(__file__).parents[3] / "docs" / "firmware.md"


def test_the_docs_list_every_end_and_no_other() -> None:
    text = DOCS.read_text()
    listed = re.findall(r"^\| `([a-z-]+)` \| \*\*(.+?)\.\*\* (.*)$", text, re.MULTILINE)
    assert {code: title for code, title, _ in listed} == {code: one.title for code, one in ENDINGS.items()}
    for code, _, rest in listed:
        # what stands around the facts
        for sentence in (ENDINGS[code].happened, ENDINGS[code].cause, ENDINGS[code].remedy):
            for part in re.split(r"\{[a-z]+\}", sentence):
                assert part.strip(" .,") in rest, (code, part)
    waits = re.findall(r"^\| `(waiting-[a-z]+)` \| (.+?) \|$", text, re.MULTILINE)
    assert dict(waits) == WAITING


@pytest.mark.parametrize("code", ENDINGS)
def test_every_end_is_a_sentence(code: str) -> None:
    ending = ENDINGS[code]
    assert ending.code == code
    assert ending.state in ENDED
    assert len(code) <= (FirmwareUpdate._meta.get_field("code").max_length or 0)
    for reason in (
        ending_reason(code, size=5),
        ending_reason(code, size=5, detail="It said so.", tries="It was tried twice."),
    ):
        assert reason[0].isupper()
        assert reason.endswith(".")
        assert "  " not in reason
        assert "{" not in reason
    if ending.state == "failed":
        assert ending.remedy
        assert ending_reason(code).count("What to do:") == 1


def test_every_failing_update_result_has_its_end() -> None:
    assert sorted(RESULT_CODES) == list(range(2, 12))
    for result, code in RESULT_CODES.items():
        assert code in ENDINGS
        if code != "connection-lost":
            assert f"Update Result {result}" in ENDINGS[code].happened


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1.2.3", "1.2.3", True),
        ("v1.2.3", " 1.2.3+0 ", True),
        ("1.2.3+4", "1.2.3", False),
        ("1.2.3", "1.2.30", False),
        ("", "", False),
        ("vnext", "next", False),
        ("V2", "2", True),
    ],
)
def test_versions(a: str, b: str, same: bool) -> None:
    assert version_same(a, b) is same
    assert version_same(b, a) is same
