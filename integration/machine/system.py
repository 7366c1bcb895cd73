"""One boot of a machine: the systemd that is pid 1 of its namespaces, from its launch to its end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .cgroup import Cgroup
from .commands import Process, start
from .disk import Disk

SCRIPT = Path(__file__).with_name("boot.sh")

# systemd(1): start poweroff.target, as if `systemctl poweroff` had been called.
POWER_OFF = signal.SIGRTMIN + 4

# Enters a cgroup before anything else is done, so that no child is ever outside of it.
ENTER_CGROUP = ("/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')


class MachineError(Exception):
    """A machine did not do what machines do; the message says what it was doing."""


@dataclass(frozen=True, slots=True)
class System:
    """A systemd that is running, or was."""

    launcher: Process[bytes]
    # As the host numbers it.
    pid1: int
    console: Path
    notifications: socket.socket

    @classmethod
    def launch(cls, disk: Disk, cgroup: Cgroup) -> Self:
        """Start pid 1 in new namespaces; it sees the cgroup ``payload(cgroup)`` as the root of its hierarchy."""
        console = disk.directory / "console"
        for group in (cgroup, payload(cgroup), Cgroup(cgroup.path / "launcher")):
            group.create()
        notifications = _listen(disk.directory / "host" / "notify")
        launcher = _unshare(disk, payload(cgroup), console)
        pid1 = _await_child(launcher, console)
        Cgroup(cgroup.path / "launcher").adopt(launcher.pid)
        assert launcher.stdin is not None
        launcher.stdin.write(b"go\n")
        launcher.stdin.close()
        return cls(launcher, pid1, console, notifications)

    @property
    def alive(self) -> bool:
        return self.launcher.poll() is None

    def await_ready(self, timeout: float) -> bool:
        """Wait until every unit of the boot has started or failed; False if systemd ends or is late."""
        deadline = time.monotonic() + timeout
        # Closed at the end: systemd goes on talking, and would wait for a reader once the queue is full.
        with self.notifications as notifications:
            notifications.settimeout(0.2)
            while self.alive and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in notifications.recv(8192).splitlines():
                        return True
        return False

    def shut_down(self, timeout: float) -> bool:
        """Stop every unit in good order; False if that takes too long."""
        os.kill(self.pid1, POWER_OFF)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.launcher.wait(timeout)
        return not self.alive

    def kill(self) -> None:
        """End pid 1, with which the kernel ends all of its namespace."""
        if self.alive:
            os.kill(self.pid1, signal.SIGKILL)
        self.launcher.wait(timeout=30)


def payload(cgroup: Cgroup) -> Cgroup:
    """Name the part of a machine's cgroup that the machine itself sees."""
    return Cgroup(cgroup.path / "machine")


def _listen(address: Path) -> socket.socket:
    address.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(address))
    return listening


def _unshare(disk: Disk, group: Cgroup, console: Path) -> Process[bytes]:
    with console.open("wb") as output:
        return start(
            (
                *ENTER_CGROUP, str(group.path),
                "setpriv", "--pdeathsig", "KILL",
                "nsenter", f"--mount=/proc/{disk.keeper.pid}/ns/mnt",
                "unshare", "--fork", "--kill-child=KILL", "--propagation", "private",
                "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--",
                "bash", str(SCRIPT), str(disk.directory),
            ),
            stdin=subprocess.PIPE,
            output=output.fileno(),
        )  # fmt: skip


def _await_child(launcher: Process[bytes], console: Path) -> int:
    # unshare(1) forks once it is in all of the new namespaces.
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    deadline = time.monotonic() + 30
    while launcher.poll() is None and time.monotonic() < deadline:
        pids = children.read_text().split()
        if pids:
            return int(pids[0])
        time.sleep(0.002)
    launcher.kill()
    raise MachineError(f"the machine's namespaces could not be made: {console.read_text()}")
