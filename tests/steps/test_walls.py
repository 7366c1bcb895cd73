"""What the unit's sandbox leaves open: the builder's own directories, and of homes what is needed."""

import sys
from pathlib import Path

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import walls

PROGRAM = "/usr/bin/darlingbuilder"


def of_homes(found: tuple[Path, ...]) -> list[Path]:
    """Leave out where the Python of this test run lies."""
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(walls.__file__).parents[1]}
    return [path for path in found if path not in python and not python & set(path.parents)]


def test_the_guest_and_serve_write_in_the_state_alone() -> None:
    openings = walls.openings(Settings(), PROGRAM)

    assert openings.writable == (Path("/var/lib/darling-builder"),)
    assert openings.writable_at_home == ()
    assert of_homes(openings.at_home) == []


def test_a_prefix_elsewhere_is_writable_with_what_lies_beside_it() -> None:
    openings = walls.openings(Settings(prefix="/srv/guest/prefix"), PROGRAM)

    assert openings.writable == (Path("/srv/guest"), Path("/var/lib/darling-builder"))


def test_a_program_in_a_home_is_shown_there_and_nothing_beside_it() -> None:
    openings = walls.openings(Settings(darling="/home/me/darling/bin/darling"), "/root/.local/bin/darlingbuilder")

    assert of_homes(openings.at_home) == [Path("/home/me/darling/bin"), Path("/root/.local/bin")]


def test_a_state_in_a_home_is_writable_there() -> None:
    openings = walls.openings(Settings(state="/home/me/builder", key="/root/keys/key"), PROGRAM)

    assert openings.writable == ()
    assert openings.writable_at_home == (Path("/home/me/builder"),)
    # The directory: who binds a file keeps the one that was there, whatever is renamed over it.
    assert of_homes(openings.at_home) == [Path("/root/keys")]


def test_a_key_beside_the_state_in_a_home_is_shown_with_it() -> None:
    openings = walls.openings(Settings(state="/home/me/builder", key="/home/me/builder/key"), PROGRAM)

    assert openings.writable_at_home == (Path("/home/me/builder"),)
    assert of_homes(openings.at_home) == []


@pytest.mark.parametrize("path", ["/root/k", "/home/me/k", "/run/user/0/k", "/tmp/k", "/var/tmp/x/k", "/dev/shm/k"])  # noqa: S108 - names
def test_what_lies_in_a_home_or_is_temporary_is_hidden_from_serve(path: str) -> None:
    assert walls.hides(Settings(), Path(path))


@pytest.mark.parametrize(
    "path", ["/etc/nix/k", "/run/secrets/k", "/roots/k", "/root/keys/other", "/home/me/builder/k", "/home/me/guest/k"]
)
def test_what_the_unit_opens_or_does_not_hide_is_seen_by_serve(path: str) -> None:
    settings = Settings(key="/root/keys/key", state="/home/me/builder", prefix="/home/me/guest/prefix")

    assert not walls.hides(settings, Path(path))


def test_the_hosts_database_is_shown_to_serve_where_the_store_is_shared() -> None:
    assert not walls.openings(Settings(), PROGRAM).host_database
    assert walls.openings(Settings(store="overlay"), PROGRAM).host_database


def test_the_lock_is_open_to_serve_where_it_changes_the_builder_before_a_start() -> None:
    assert not walls.openings(Settings(), PROGRAM).lock
    assert walls.openings(Settings(ephemeral=True), PROGRAM).lock
    assert walls.openings(Settings(store="overlay"), PROGRAM).lock
