"""Locks are seen, and left alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darlingbuilder.adapters import flocks


@contextmanager
def locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"slot-{number}" for number in range(3)]
    for path in made:
        path.touch()
    return made


def test_a_file_that_somebody_holds_is_told_from_those_that_nobody_does(files: list[Path]) -> None:
    with locked(files[1]):
        assert flocks.held(files) == {files[1]}
    assert flocks.held(files) == set()


def test_a_lock_that_is_shared_is_no_slot_in_use(files: list[Path]) -> None:
    with locked(files[0], fcntl.LOCK_SH):
        assert flocks.held(files) == set()


def test_a_look_keeps_nobody_from_taking_the_lock(files: list[Path]) -> None:
    with locked(files[0]):
        assert flocks.held(files) == {files[0]}
    with locked(files[0], fcntl.LOCK_EX | fcntl.LOCK_NB):
        pass


def test_who_holds_one_is_named(files: list[Path], tmp_path: Path) -> None:
    with locked(files[1]):
        assert flocks.holders([*files, tmp_path / "gone"]) == {os.getpid()}
        assert flocks.holders(files[:1]) == set()
    assert flocks.holders(files) == set()


def test_a_file_that_is_gone_is_held_by_nobody(tmp_path: Path) -> None:
    assert flocks.held([tmp_path / "gone"]) == set()
