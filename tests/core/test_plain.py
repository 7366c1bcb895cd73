"""Nothing that the guest has written reaches a terminal as more than text."""

import json

import msgspec
import pytest

from darlingbuilder.core.plain import plain


@pytest.mark.parametrize("text", ["", "SSH-2.0-OpenSSH_8.1", "größer «ok» 🙂"])
def test_text_stays(text: str) -> None:
    assert plain(text) == text


def test_a_tab_is_a_space() -> None:
    assert plain("a\tb") == "a b"


@pytest.mark.parametrize(
    "text", ["\x1b]0;x\x07", "a\x9b31m", "one\ntwo", "\r", "a\x00", "nix-2\udcff", "\u202eevil", "\u2028"]
)
def test_what_is_obeyed_or_no_text_is_marked(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    assert shown.isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert json.loads(msgspec.json.encode(shown)) == shown
