"""What a nix.conf says, its includes followed."""

from pathlib import Path

from darlingbuilder.core import nixconf

CONF = Path("/etc/nix/nix.conf")


def test_the_last_of_two_counts_and_comments_do_not() -> None:
    text = "builders = a\n# builders = b\n  builders   =  c  d # e\nempty =\n"

    assert nixconf.said(text, file=CONF, read=lambda _path: None) == {"builders": "c d", "empty": ""}


def test_includes_are_read_in_their_place_relative_to_the_file() -> None:
    texts = {Path("/etc/nix/custom.conf"): "a = 2\n!include deep/er.conf", Path("/etc/nix/deep/er.conf"): "b = 3"}

    told = nixconf.said("a = 1\ninclude custom.conf\n!include /gone\nb = 4\n", file=CONF, read=texts.get)

    assert told == {"a": "2", "b": "4"}


def test_a_file_that_includes_itself_comes_to_an_end() -> None:
    assert nixconf.said("include nix.conf\na = 1", file=CONF, read=lambda _path: "b = 2") == {"a": "1"}
