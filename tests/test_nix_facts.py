"""What the NixOS module knows of the program is what the program is now."""

import re
from pathlib import Path

import pytest

from darlingbuilder.core import declaration
from nix import facts

REPOSITORY = Path(__file__).parents[1]


def test_the_file_is_as_the_program_writes_it() -> None:
    assert facts.FILE.read_text() == facts.text(), "write it anew: python -m nix.facts"


def test_no_setting_has_a_type_that_the_module_cannot_read() -> None:
    readable = {
        "integer": {"type", "minimum", "maximum"},
        "boolean": {"type"},
        "string": {"type", "pattern"},
        "array": {"type", "items"},
    }

    def check(schema: dict[str, object]) -> None:
        if "anyOf" in schema:
            assert isinstance(schema["anyOf"], list)
            for one in schema["anyOf"]:
                check(one)
        elif "enum" not in schema:
            assert readable[str(schema["type"])] == schema.keys()
            if isinstance(schema.get("items"), dict):
                check(schema["items"])  # type: ignore[arg-type]  # a dict, as was just seen

    told = facts.facts()["settings"]
    assert told.keys() == declaration.table().keys()
    for setting in told.values():
        check(setting["type"])


@pytest.mark.parametrize(
    ("python", "posix"),
    [
        (r"^[0-9]+\Z", "[0-9]+"),
        (r"^(/[^\x00-\x1f\x7f\ud800-\udfff]*)?\Z", "(/[^[:cntrl:]]*)?"),
        ("plain", "plain"),
    ],
)
def test_a_pattern_is_translated_for_nix(python: str, posix: str) -> None:
    assert facts.posix(python) == posix


def test_no_pattern_has_anything_left_that_only_python_understands() -> None:
    # A backslash before a dot, and no class, no escape, no group of Python's own.
    assert (
        re.findall(r"\\[^.]|\(\?", "".join(re.findall(r'"pattern": "(.*)"', facts.text().replace("\\\\", "\\"))))
        == []
    )
