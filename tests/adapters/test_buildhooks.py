"""Nix's build hooks, found among real processes, and held by the real lock."""

import fcntl
import os
import subprocess  # a hook that is told when to go on needs pipes, which adapters.process does not make
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.buildhooks import NixHooks
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.core import wait

# Not the one that a machine on this one may have at the same time.
ALIAS = "builder-of-this-test"
SLOT = f"ssh-ng:__{ALIAS}-1"
# A process whose second word is Nix's own, with a child that is named as told, if it is told a name.
_HOOK = """
import os, sys, time
if len(sys.argv) > 2:
    if os.fork() == 0:
        open("/proc/self/comm", "w").write(sys.argv[2])
        time.sleep(60)
time.sleep(60)
"""
# A hook that holds the slot of its last word. At each line that it reads it goes on: it starts an ssh, which then
# opens its session as ssh does, and in the end both are gone.
_BUILD = """
import fcntl, os, sys
if sys.argv[1] == "ssh":
    open("/proc/self/comm", "w").write("ssh")
    print("begun", flush=True)
    sys.stdin.readline()
    copy = os.dup(0)
    print("in", flush=True)
    sys.stdin.readline()
else:
    slot = open(sys.argv[3], "w")
    fcntl.flock(slot, fcntl.LOCK_EX)
    print("chosen", flush=True)
    sys.stdin.readline()
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, sys.argv[0], "ssh", "-x", sys.argv[2], "nix-daemon"])
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
    hooks = NixHooks(tmp_path, ALIAS)
    with hook(tmp_path, name=name) as running:
        assert running.pid in hooks.ignorant(time.time())
        assert running.pid not in hooks.ignorant(time.time() - 60)
    assert running.pid not in hooks.ignorant(time.time())


def test_a_hook_with_an_ssh_has_its_machine(tmp_path: Path) -> None:
    with ExitStack() as stack:
        connected = stack.enter_context(hook(tmp_path, "ssh"))
        busy = stack.enter_context(hook(tmp_path, "other"))
        found = NixHooks(tmp_path, ALIAS).ignorant(time.time())
        assert connected.pid not in found
        assert busy.pid in found


def test_other_processes_are_no_hooks(tmp_path: Path) -> None:
    with hook(tmp_path, name="build-remotely") as running:
        assert running.pid not in NixHooks(tmp_path, ALIAS).ignorant(time.time())


def test_while_they_are_held_nobody_has_the_lock_and_afterwards_anybody(tmp_path: Path) -> None:
    lock = tmp_path / "main-lock"
    lock.touch()
    with lock.open("rb") as other:
        with NixHooks(tmp_path, ALIAS).held(), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


Build = subprocess.Popen[str]  # noqa: TID251 - see the import


@contextmanager
def build(directory: Path, alias: str, slot: str) -> Iterator[Build]:
    """A hook that has chosen the machine ``alias``."""
    script = directory / "__build-remote"
    script.write_text(_BUILD)
    words = [sys.executable, str(script), "0", alias, str(directory / slot)]
    with Build(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert heard(running) == "chosen"
        try:
            yield running
        finally:
            running.kill()


def heard(running: Build) -> str:
    assert running.stdout
    return running.stdout.readline().strip()


def tell(running: Build) -> str:
    """Have it go on, and give how far it has come."""
    assert running.stdin
    running.stdin.write("on\n")
    running.stdin.flush()
    return heard(running)


def waits(directory: Path, *, at_most: float = 4) -> bool:
    """Whether anybody is waited for, for most of that time: an ssh has it from its own start on."""
    began = time.monotonic()
    with NixHooks(directory, ALIAS, seconds_to_log_in=at_most).held():
        return time.monotonic() - began > at_most / 4


def test_who_has_chosen_the_builder_is_waited_for_until_he_has_his_session(tmp_path: Path) -> None:
    (tmp_path / "main-lock").touch()
    with build(tmp_path, ALIAS, SLOT) as running:
        assert waits(tmp_path, at_most=0.3)
        assert tell(running) == "begun"
        assert waits(tmp_path)
        assert tell(running) == "in"
        assert not waits(tmp_path, at_most=30)


def test_one_that_takes_his_time_is_waited_for_no_longer_than_he_needs(tmp_path: Path) -> None:
    (tmp_path / "main-lock").touch()
    with build(tmp_path, f"somebody@{ALIAS}", SLOT) as running:
        tell(running)
        threading.Timer(0.5, tell, (running,)).start()
        began = time.monotonic()
        with NixHooks(tmp_path, ALIAS).held():
            assert 0.5 <= time.monotonic() - began < 20


@pytest.mark.parametrize("steps", [0, 1])
def test_who_goes_elsewhere_is_not_waited_for(tmp_path: Path, steps: int) -> None:
    (tmp_path / "main-lock").touch()
    with build(tmp_path, "mac", "ssh-ng:__mac-1") as running:
        for _ in range(steps):
            tell(running)
        assert not waits(tmp_path, at_most=30)


def test_an_ssh_that_has_had_its_time_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "main-lock").touch()
    with build(tmp_path, ALIAS, SLOT) as running:
        tell(running)
        time.sleep(4)
        assert not waits(tmp_path)


def test_where_no_hook_has_ever_run_nothing_is_made(tmp_path: Path) -> None:
    with NixHooks(tmp_path / "absent", ALIAS).held():
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
