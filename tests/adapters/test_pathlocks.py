"""Locks on store paths, against a Nix that takes them at the same time."""

import contextlib
import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import identity, pathlocks
from darlingbuilder.adapters.volumes import LoopVolumes
from darlingbuilder.core.errors import NixError


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


def test_in_a_store_that_takes_nothing_more_what_went_wrong_is_what_is_said(store: int, tmp_path: Path) -> None:
    def registers() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        with pathlocks.held(store, ["a"]):
            raise NixError("the disk is full", hint="make room")

    with pytest.raises(NixError, match="the disk is full"):
        identity.as_user(None, registers, type(None), seconds=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
def test_in_a_store_that_is_full_who_waits_is_told_all_the_same(full: Path) -> None:
    store = os.open(full, os.O_RDONLY)
    try:
        with pathlocks.held(store, ["a"]):
            waiting = (full / "a.lock").open()
    finally:
        os.close(store)
    with waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert len(waiting.read()) == 1
    assert not (full / "a.lock").exists()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system without a free block."""
    place, image = tmp_path / "full", tmp_path / "image"
    place.mkdir()
    LoopVolumes().make(image, 2**20)
    LoopVolumes().mount(image, place)
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 1024):
            pass
    yield place
    LoopVolumes().unmount(place)


def test_a_lock_that_cannot_be_removed_is_left_as_nobodys(store: int, tmp_path: Path) -> None:
    with pathlocks.held(store, ["a"]):
        (tmp_path / "a.lock").unlink()
        (tmp_path / "a.lock").mkdir()
    assert (tmp_path / "a.lock").is_dir()
