"""What a nix.conf says, its includes followed."""

from pathlib import Path

import pytest

from darlingbuilder.core import nixconf
from darlingbuilder.core.nixconf import Saying

CONF = Path("/etc/nix/nix.conf")


def test_the_last_of_two_counts_and_comments_do_not() -> None:
    text = "builders = a\n# builders = b\n  builders   =  c  d # e\nempty =\n"

    assert nixconf.said(text, file=CONF, read=lambda _path: None) == {"builders": "c d", "empty": ""}


def test_includes_are_read_in_their_place_relative_to_the_file() -> None:
    texts = {Path("/etc/nix/custom.conf"): "a = 2\n!include deep/er.conf", Path("/etc/nix/deep/er.conf"): "b = 3"}

    told = nixconf.said("a = 1\ninclude custom.conf\n!include /gone\nb = 4\n", file=CONF, read=texts.get)

    assert told == {"a": "2", "b": "4"}


def test_each_setting_is_known_by_the_file_that_says_it_last() -> None:
    texts = {Path("/etc/nix/custom.conf"): "a = 2\n"}

    told = nixconf.sayings("a = 1\nb = 1\n!include custom.conf", file=CONF, read=texts.get)

    assert told["a"] == Saying("2", Path("/etc/nix/custom.conf"))
    assert told["b"] == Saying("1", CONF)


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("a = 1\n!include x.conf\nb = 1\n", "b = 1\n"),
        ("include /etc/nix/x.conf\ninclude ./x.conf # mine", ""),
        ("# include x.conf\n!include y.conf", None),
        ("", None),
    ],
)
def test_what_comes_behind_an_include_can_gainsay_it(text: str, behind: str | None) -> None:
    assert nixconf.behind(text, Path("/etc/nix/x.conf"), file=CONF) == behind


def test_a_file_that_includes_itself_comes_to_an_end() -> None:
    assert nixconf.said("include nix.conf\na = 1", file=CONF, read=lambda _path: "b = 2") == {"a": "1"}
