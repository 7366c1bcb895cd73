"""A process of our own that does something, or waits, and tells why it cannot."""

import os
from pathlib import Path

import pytest

from darlingbuilder.adapters import child, procfs


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def fails() -> None:
    raise PermissionError(1, "not today")


def breaks() -> None:
    raise ValueError("a bug")


def dies() -> None:
    os._exit(7)


def test_what_is_done_there_changes_nothing_here(tmp_path: Path) -> None:
    here = Path.cwd()

    assert child.failure_of(lambda: os.chdir(tmp_path)) == ""

    assert Path.cwd() == here


def test_why_it_failed_comes_back() -> None:
    assert child.failure_of(fails) == "not today"
    assert child.failure_of(breaks) == "ValueError('a bug')"
    assert "ended with 7" in child.failure_of(dies)
    assert child.failure_of(lambda: child.enter(-1, 0)) == "Bad file descriptor"


def test_a_child_waits_with_its_work_done_and_is_gone_afterwards(tmp_path: Path) -> None:
    with child.waiting((tmp_path / "done").touch) as pid:
        assert (tmp_path / "done").exists()
        assert procfs.alive(pid)

    assert procfs.process(pid) is None


def test_one_that_cannot_do_its_work_does_not_wait() -> None:
    with pytest.raises(OSError, match="not today"), child.waiting(fails):
        pytest.fail("it was not to begin")


def test_no_descriptor_stays_open() -> None:
    before = descriptors()
    child.failure_of(fails)
    with child.waiting(lambda: None):
        pass
    assert descriptors() == before
