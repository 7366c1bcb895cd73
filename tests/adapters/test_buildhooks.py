"""Nix's build hooks, found among real processes, and held by the real lock."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.buildhooks import NixHooks
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.core import wait

# A process whose second word is Nix's own, with a child that is named as told, if it is told a name.
_HOOK = """
import os, sys, time
if len(sys.argv) > 2:
    if os.fork() == 0:
        open("/proc/self/comm", "w").write(sys.argv[2])
        time.sleep(60)
time.sleep(60)
"""


@contextmanager
def hook(directory: Path, *child: str, name: str = "__build-remote") -> Iterator[Running]:
    script = directory / name
    script.write_text(_HOOK)
    with (directory / "log").open("ab") as log:
        running = process.spawn(sys.executable, script, "0", *child, start=Start(), log=log)
    try:
        assert wait.until(lambda: not child or _has_child(running.pid, child[0]), seconds=10)
        yield running
    finally:
        process.end(running)


def _has_child(pid: int, name: str) -> bool:
    return any(found.parent == pid and found.name == name for found in procfs.everything())


@pytest.mark.parametrize("name", ["__build-remote", "build-remote"])
def test_a_hook_that_is_yet_to_connect_and_was_started_before_is_ignorant(tmp_path: Path, name: str) -> None:
    hooks = NixHooks(tmp_path)
    with hook(tmp_path, name=name) as running:
        assert running.pid in hooks.ignorant(time.time())
        assert running.pid not in hooks.ignorant(time.time() - 60)
    assert running.pid not in hooks.ignorant(time.time())


def test_a_hook_with_an_ssh_has_its_machine(tmp_path: Path) -> None:
    with ExitStack() as stack:
        connected = stack.enter_context(hook(tmp_path, "ssh"))
        busy = stack.enter_context(hook(tmp_path, "other"))
        found = NixHooks(tmp_path).ignorant(time.time())
        assert connected.pid not in found
        assert busy.pid in found


def test_other_processes_are_no_hooks(tmp_path: Path) -> None:
    with hook(tmp_path, name="build-remotely") as running:
        assert running.pid not in NixHooks(tmp_path).ignorant(time.time())


def test_while_they_are_held_nobody_has_the_lock_and_afterwards_anybody(tmp_path: Path) -> None:
    lock = tmp_path / "main-lock"
    lock.touch()
    with lock.open("rb") as other:
        with NixHooks(tmp_path, seconds_to_log_in=0).held(), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_has_begun_gets_the_time_to_log_in(tmp_path: Path) -> None:
    (tmp_path / "main-lock").touch()
    began = time.monotonic()
    with NixHooks(tmp_path, seconds_to_log_in=0.2).held():
        assert time.monotonic() - began >= 0.2


def test_where_no_hook_has_ever_run_nothing_is_made(tmp_path: Path) -> None:
    with NixHooks(tmp_path / "absent", seconds_to_log_in=0).held():
        assert list(tmp_path.iterdir()) == []


def test_a_process_was_started_when_it_was() -> None:
    before = time.time()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    after = time.time()
    try:
        assert before - 0.05 <= (procfs.started(pid) or 0) <= after + 0.05
    finally:
        os.waitpid(pid, 0)
    assert procfs.started(pid) is None
