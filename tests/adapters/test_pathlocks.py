"""Locks on store paths, against a Nix that takes them at the same time."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import pathlocks


@pytest.fixture
def store(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_what_nobody_holds_is_held_and_gone_afterwards(store: int, tmp_path: Path) -> None:
    with pathlocks.held(store, ["b", "a"]) as locked:
        assert locked == {"a", "b"}
        with (tmp_path / "a.lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_holds_is_left_to_them(store: int, tmp_path: Path) -> None:
    with (tmp_path / "a.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pathlocks.held(store, ["a", "b"]) as locked:
            assert locked == {"b"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.lock"]


def test_who_waits_is_told_that_the_lock_is_stale(store: int, tmp_path: Path) -> None:
    with pathlocks.held(store, ["a"]):
        waiting = (tmp_path / "a.lock").open()
    with waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert waiting.read() == "d"


def test_a_stale_file_that_was_left_by_a_crash_is_in_nobodys_way(store: int, tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("d")
    with pathlocks.held(store, ["a"]) as locked:
        assert locked == {"a"}


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_is_no_file_is_not_touched(store: int, tmp_path: Path, kind: str) -> None:
    lock, elsewhere = tmp_path / "a.lock", tmp_path / "elsewhere"
    if kind == "link":
        lock.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pathlocks.held(store, ["a"]) as locked:
        assert locked == frozenset()
    assert os.path.lexists(lock)
    assert not elsewhere.exists()
