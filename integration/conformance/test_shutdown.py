"""How a container ends, and what its end leaves alone."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from . import processes
from .defect import Defect
from .launcher import BOOT_SECONDS, GONE_SECONDS, NewPrefix, Prefix
from .processes import Account, eventually

pytestmark = pytest.mark.alone
SHUTDOWN_SECONDS = 2.0
STILL_ALIVE = "Cannot open mnt namespace file: No such file or directory"


def test_shutdown_of_a_stopped_container_is_an_error(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.stop()
    outcome = prefix.call("shutdown")
    assert outcome.rc == 1
    assert "not running" in outcome.said


def test_shutdown_returns_quickly_and_ends_everything(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    with prefix.running("sleep", "300") as client:
        outcome = prefix.call("shutdown")
        assert outcome.rc == 0
        assert outcome.seconds < SHUTDOWN_SECONDS
        assert client.wait(GONE_SECONDS) != 0
    assert eventually(lambda: not prefix.left_running(), GONE_SECONDS)


def test_the_pid_file_stays_behind(account: Account, new_prefix: NewPrefix, defect: Defect) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.call("shutdown")
    eventually(lambda: not prefix.left_running(), GONE_SECONDS)
    defect(prefix.pid_file.exists(), stated=True, mended=False)


def test_a_call_right_after_shutdown_fails(account: Account, new_prefix: NewPrefix, defect: Defect) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.call("shutdown")
    outcome = prefix.call("shell", "true", seconds=BOOT_SECONDS)
    defect((outcome.rc, STILL_ALIVE in outcome.said), stated=(1, True), mended=(0, False))


def test_removing_the_pid_file_is_enough_after_shutdown(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    server = prefix.server()
    prefix.call("shutdown")
    # A zombie may stay: that is not waited for.
    assert eventually(lambda: not processes.is_alive(server), GONE_SECONDS)
    prefix.pid_file.unlink(missing_ok=True)
    assert prefix.call("shell", "true", seconds=BOOT_SECONDS).rc == 0


def test_the_servers_death_is_the_containers(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    with prefix.running("sleep", "300"):
        os.kill(prefix.server(), signal.SIGKILL)
        assert eventually(lambda: not prefix.left_running(), GONE_SECONDS)
    prefix.pid_file.unlink()
    assert prefix.call("shell", "true", seconds=BOOT_SECONDS).rc == 0


def test_sigterm_to_all_of_a_container_does_not_end_it(
    account: Account, new_prefix: NewPrefix, defect: Defect
) -> None:
    # What systemd does to the unit's control group: without a shutdown the stop takes the whole timeout.
    prefix = new_prefix(account)
    prefix.boot()
    for pid in prefix.left_running():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    defect(eventually(lambda: not prefix.left_running(), 2), stated=False, mended=True)


def test_other_containers_are_left_alone(root: Account, ordinary: Account, new_prefix: NewPrefix) -> None:
    of_root, first, second = new_prefix(root), new_prefix(ordinary), new_prefix(ordinary)
    for prefix in (of_root, first):
        prefix.boot()
    with of_root.running("sleep", "300") as roots, first.running("sleep", "300") as firsts:
        second.boot()
        second.stop()
        assert roots.poll() is None
        assert firsts.poll() is None
    assert (of_root.script("exit 3").rc, first.script("exit 4").rc) == (3, 4)


def test_nothing_is_left_behind(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    assert prefix.left_running()
    prefix.stop()
    assert not prefix.left_running()
    # Others may mount meanwhile: only what is below the prefix is ours.
    assert str(prefix.path) not in Path("/proc/self/mountinfo").read_text()
    # The merged tree was never here: what is left is the upper layer alone.
    assert not (prefix.path / "usr/sbin/sshd").exists()


def test_a_prefix_that_was_stopped_keeps_its_files(guest: Prefix, account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.write("/private/var/db/kept", b"kept\n")
    prefix.stop()
    assert (prefix.path / "private/var/db/kept").read_bytes() == b"kept\n"
    assert guest.shell("test", "-e", "/private/var/db/kept").rc == 1
