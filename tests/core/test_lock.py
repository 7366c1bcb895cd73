"""One holder at a time, and the second is told who the first is."""

import os
import subprocess  # the kernel lets a lock go when its process ends: that needs a process
import sys
import threading
from pathlib import Path

import pytest

from darlingbuilder.core import lock
from darlingbuilder.core.errors import LockedError

_HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from darlingbuilder.core import lock
with lock.held(Path(sys.argv[1]), purpose="init", seconds=0):
    os.kill(os.getpid(), 9)
"""


def test_the_second_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with (
        lock.held(path, purpose="init", seconds=0),
        pytest.raises(LockedError, match=rf"darlingbuilder init \(pid {os.getpid()}\) is at work") as caught,
        lock.held(path, purpose="uninstall", seconds=0),
    ):
        pytest.fail("two hold one lock")

    assert caught.value.hint


def test_a_start_of_the_unit_is_waited_for(tmp_path: Path) -> None:
    # given: systemd starts the builder again, for which nobody has asked
    path, asked = tmp_path / "lock", threading.Event()

    def start() -> None:
        with lock.held(path, purpose=lock.STARTING, seconds=0):
            asked.set()
            threading.Event().wait(0.2)

    starting = threading.Thread(target=start)
    starting.start()
    asked.wait()
    # when
    with lock.held(path, purpose="init", seconds=0):
        # then
        assert "init" in path.read_text()
    starting.join()


def test_a_lock_that_was_let_go_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with lock.held(path, purpose="init", seconds=0):
        pass

    with lock.held(path, purpose="uninstall", seconds=0):
        assert "uninstall" in path.read_text()


def test_a_lock_can_be_let_go_early_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with lock.held(path, purpose="init", seconds=0) as first:
        first.release()
        first.release()
        with lock.held(path, purpose="serve", seconds=0):
            assert "serve" in path.read_text()


def test_nobody_is_named_who_has_let_the_lock_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.held(path, purpose=lock.STARTING, seconds=0):
        pass
    # when: somebody who signs nothing, flock(1) say
    somebody = lock.Lock(path)
    assert somebody.take()
    # then
    with (
        pytest.raises(LockedError, match="another darlingbuilder"),
        lock.held(path, purpose="init", seconds=0),
    ):
        pytest.fail("two hold one lock")
    somebody.release()


def test_a_failure_inside_lets_the_lock_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), lock.held(path, purpose="init", seconds=0):
        raise RuntimeError

    with lock.held(path, purpose="init", seconds=0):
        assert path.exists()


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    died = subprocess.run([sys.executable, "-c", _HOLD_AND_DIE, path], check=False)  # noqa: TID251 - see the import
    assert died.returncode == -9

    with lock.held(path, purpose="init", seconds=0):
        assert str(os.getpid()) in path.read_text()


def test_a_lock_whose_file_was_removed_by_its_holder_does_not_lock_out_the_next(tmp_path: Path) -> None:
    # given: one that waits, and so has opened the file that the holder then removes
    path = tmp_path / "lock"
    with lock.held(path, purpose="uninstall", seconds=0) as first:
        waiting = lock.Lock(path)
        assert not waiting.take()
        first.remove()
    # when
    assert waiting.take()
    # then: whoever comes now meets it
    with pytest.raises(LockedError), lock.held(path, purpose="init", seconds=0):
        pytest.fail("two hold one lock")
    waiting.release()


def test_a_removed_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with lock.held(tmp_path / "lock", purpose="uninstall", seconds=0) as held:
        held.remove()
    assert list(tmp_path.iterdir()) == []
