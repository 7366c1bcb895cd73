"""The table of what is known of Darling, Nix and nixpkgs together."""

import msgspec
import pytest

from darlingbuilder.core import compatibility, storepath
from darlingbuilder.core.compatibility import TABLE, Outcome
from darlingbuilder.core.errors import ConfigError


def test_the_store_path_of_the_default_is_known() -> None:
    assert compatibility.nix_path() == "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"


@pytest.mark.parametrize("version", compatibility.nix_paths())
def test_every_path_is_a_store_path_of_its_version(version: str) -> None:
    path = compatibility.nix_path(version)

    assert storepath.is_store_path(path)
    assert path.endswith(f"-nix-{version}")


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Nix 2\.24\.12 .* not known") as caught:
        compatibility.nix_path("2.24.12")

    assert "2.19.3, 2.20.3, 2.31.2" in caught.value.hint


def test_what_works_what_dies_and_what_was_not_tried_are_told_apart() -> None:
    works, dies, untried = compatibility.nix_advice().split("; ")

    assert works.startswith("known to work in a Darling guest: 2.18.9 (with Darling upstream main")
    assert dies == "to die there: 2.24.12 (SIGILL, reported)"
    assert untried.endswith(": 2.19.3, 2.20.3, 2.31.2")


def test_every_version_is_there_once_and_what_was_seen_names_its_darling() -> None:
    rows = compatibility.table().nix

    assert len({row.version for row in rows}) == len(rows)
    seen = [row for row in rows if row.outcome is Outcome.WORKS]
    assert {row.darling for row in seen} <= {row.version for row in compatibility.table().darling}


def test_the_releases_of_nixpkgs_are_in_their_order_with_what_they_need() -> None:
    rows = compatibility.table().nixpkgs

    assert [row.release for row in rows] == sorted(row.release for row in rows)
    assert [row.macos for row in rows] == sorted(row.macos for row in rows)


@pytest.mark.parametrize(("macos", "release"), [(10, None), (11, "25.05"), (13, "25.05"), (14, "26.05")])
def test_a_macos_runs_nixpkgs_up_to_a_release(macos: int, release: str | None) -> None:
    assert compatibility.newest_nixpkgs(macos) == release


@pytest.mark.parametrize(
    ("there", "instead", "words"),
    [
        ('evidence = "run"', 'evidence = "hearsay"', "evidence"),
        ('outcome = "dies"', "", "outcome"),
        ('source = "nixpkgs"', 'source = ""', "source"),
        ("macos = 14", "macos = 14\nmacs = 14", "macs"),
        ("binaries = 2026-12-31", 'binaries = "soon"', "binaries"),
    ],
)
def test_a_row_that_says_too_little_or_something_unknown_is_refused(there: str, instead: str, words: str) -> None:
    text = TABLE.read_text()
    assert there in text

    with pytest.raises(msgspec.ValidationError, match=words):
        compatibility.read(text.replace(there, instead, 1).encode())
