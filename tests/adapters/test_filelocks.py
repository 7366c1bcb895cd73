"""Locks tried between two open files."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import child, filelocks


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[int, int, int]]:
    """Give a file that is open twice, and another one."""
    paths = (tmp_path / "one", tmp_path / "one", tmp_path / "other")
    opened = [os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in paths]
    yield opened[0], opened[1], opened[2]
    for descriptor in opened:
        os.close(descriptor)


def test_every_lock_on_a_file_keeps_out_who_has_opened_it_as_well(files: tuple[int, int, int]) -> None:
    one, again, other = files

    assert filelocks.kept_out(one, again) == ["flock", "fcntl"]
    assert filelocks.kept_out(one, other) == []


def test_nothing_stays_locked(files: tuple[int, int, int]) -> None:
    one, again, other = files
    filelocks.kept_out(one, again)
    filelocks.kept_out(one, other)

    for descriptor in (again, other):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_is_seen_by_another_process_as_nixs_own_is(files: tuple[int, int, int], tmp_path: Path) -> None:
    def try_as_nix_does() -> None:
        with (tmp_path / "one").open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    fcntl.flock(files[0], fcntl.LOCK_EX)

    assert "temporarily unavailable" in child.failure_of(try_as_nix_does)
    with pytest.raises(BlockingIOError):
        filelocks.kept_out(files[1], files[2])
