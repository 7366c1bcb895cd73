"""A machine: a real systemd as pid 1 of its own namespaces, which boots, runs commands and leaves no trace."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from .cgroup import Cgroup
from .commands import CLEAN_ENVIRONMENT, CommandError, Completed, Process, finish, start
from .disk import SCRATCH, Disk, Parts, cgroup_of, sweep
from .tree import Entry, Surveyor

SCRIPT = Path(__file__).with_name("boot.sh")

# systemd(1): start poweroff.target, as if `systemctl poweroff` had been called.
POWER_OFF = signal.SIGRTMIN + 4

# Enters a cgroup before anything else is done, so that no child is ever outside of it.
ENTER_CGROUP = ("/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')


class MachineError(Exception):
    """A machine did not do what machines do; the message says what it was doing."""


@dataclass(slots=True)
class Machine:
    """One machine, used as a context manager or closed by hand; not to be shared between threads."""

    disk: Disk
    cgroup: Cgroup
    binds: frozenset[str]
    _launcher: Process[bytes] | None = None
    _pid1: int = 0
    _runs: Iterator[int] = field(default_factory=count)
    _surveyor: Surveyor = field(default_factory=Surveyor)

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        layers: Sequence[Path] = (),
        binds: Mapping[str, Path] | None = None,
        read_only_binds: Mapping[str, Path] | None = None,
        scratch: Path = SCRATCH,
    ) -> Self:
        """Make a machine that is switched off: ``layers`` over ``root``, ``binds`` from machine to host path.

        ``scratch`` is on a real filesystem, not on an overlay. Machines that a killed process left there
        are removed first.
        """
        sweep(scratch)
        parts = Parts(root, layers, binds or {}, read_only_binds or {})
        disk = Disk.create(parts, scratch)
        machine = cls(disk, cgroup_of(disk.directory), frozenset({*parts.binds, *parts.read_only_binds}))
        # A fixed one: an empty file would make every boot a first boot, which enables units on its own.
        machine.path("/etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        return machine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    @property
    def up(self) -> bool:
        return self._launcher is not None and self._launcher.poll() is None

    @property
    def pid1(self) -> int:
        """The host's pid of the machine's systemd."""
        if not self.up:
            raise MachineError("the machine is switched off; boot() it first")
        return self._pid1

    # -- power ---------------------------------------------------------------------------------------

    def boot(self, *, timeout: float = 90) -> None:
        """Boot to multi-user.target, with everything that is enabled there started or failed.

        Call it from the main thread: the machine dies with the thread that booted it.
        """
        if self.up:
            raise MachineError("the machine is up already")
        self.cut_power()
        self._payload.path.parent.mkdir(exist_ok=True)
        self._payload.create()
        with self._notifications() as ready:
            self._launch()
            self._await_ready(ready, time.monotonic() + timeout)

    def shut_down(self, *, timeout: float = 60) -> None:
        """Shut down in good order, every unit stopped; raise MachineError if that takes too long."""
        if self._launcher is not None and self.up:
            os.kill(self.pid1, POWER_OFF)
            try:
                self._launcher.wait(timeout)
            except subprocess.TimeoutExpired:
                raise MachineError(f"no end of the shutdown after {timeout} s:\n{self.journal()}") from None
        self.cut_power()

    def cut_power(self) -> None:
        """End every process of the machine at once; the disk stays as it is."""
        if self._launcher is not None:
            if self.up:
                # First pid 1, with which the kernel ends all of its namespace; then those who wait outside for
                # a command inside, and have by now reaped it (see kill_below).
                os.kill(self.pid1, signal.SIGKILL)
            self._launcher.wait(timeout=30)
        self.cgroup.remove()
        self._launcher = None

    def reboot(self, *, timeout: float = 90) -> None:
        """Shut down in good order and boot again from the same disk."""
        self.shut_down(timeout=timeout)
        self.boot(timeout=timeout)

    def close(self) -> None:
        """Remove the machine, its disk included."""
        self.cut_power()
        self.disk.close()

    # -- commands ------------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        user: str | None = None,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        timeout: float = 60,
        check: bool = True,
    ) -> Completed:
        """Run a command in the machine, in a clean environment with ``env`` added.

        A timeout kills all that the command has started, daemons included, and raises CommandTimeoutError; a
        failure raises CommandError unless ``check`` is false. A daemon that keeps the command's stdout or
        stderr open keeps this call waiting, as a pipe does.
        """
        leaf = self._leaf()
        process = start(
            self._argv(argv, leaf, user=user, env=env or {}, cwd=cwd),
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        )
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            completed = finish(process, argv, stdin=raw, timeout=timeout, kill=lambda: leaf.kill_below(process.pid))
        finally:
            leaf.remove_if_empty()
        if check and completed.rc != 0:
            raise CommandError(argv, f"exit code {completed.rc}", completed)
        return completed

    def popen(
        self,
        *argv: str,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
    ) -> Process[bytes]:
        """Start a command with pipes on all three streams; whoever calls waits for it, or kills it."""
        command = self._argv(argv, self._leaf(), user=user, env=env or {}, cwd=cwd)
        return start(command, stdin=subprocess.PIPE)

    def journal(self, unit: str | None = None, *, lines: int = 200) -> str:
        """Return the end of the journal, of one unit or of all, for a failure's message."""
        which = () if unit is None else ("--unit", unit)
        return self.run("journalctl", "--no-pager", "--lines", str(lines), *which, check=False).stdout

    # -- disk ----------------------------------------------------------------------------------------

    def path(self, inside: str) -> Path:
        """Return where a file of the machine is seen from outside, switched on or off.

        The last component may be a symlink; an absolute one leads out of the machine, as with chroot, so
        resolve it with ``run("readlink", …)`` where that matters.
        """
        if not inside.startswith("/"):
            raise ValueError(f"{inside!r}: not an absolute path")
        root = Path(f"/proc/{self._pid1}/root") if self.up else self.disk.root
        return root / inside[1:]

    def tree(self) -> dict[str, Entry]:
        """Take a snapshot of the whole disk, without what is bound from the host."""
        return self._surveyor.survey(self.path("/"), excluded=self.binds)

    def leftovers(self) -> list[str]:
        """Name everything of this machine that is still there; nothing may be after ``close``."""
        name = self.disk.directory.name
        found = [f"directory {self.disk.directory}"] if self.disk.directory.exists() else []
        found += [f"cgroup {self.cgroup.path}"] if self.cgroup.exists() else []
        return found + _witnesses(name)

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _payload(self) -> Cgroup:
        """The cgroup that the machine sees as the root of its hierarchy."""
        return Cgroup(self.cgroup.path / "machine")

    def _leaf(self) -> Cgroup:
        """Make a cgroup for one command: what it starts can then be killed, daemons included."""
        if not self.up:
            raise MachineError("the machine is switched off; boot() it first")
        leaf = Cgroup(self._payload.path / f"run-{next(self._runs)}")
        leaf.create()
        return leaf

    def _argv(
        self, argv: Sequence[str], leaf: Cgroup, *, user: str | None, env: Mapping[str, str], cwd: str
    ) -> tuple[str, ...]:
        variables = [f"{key}={value}" for key, value in env.items()]
        return (
            *ENTER_CGROUP, str(leaf.path),
            "nsenter", "--target", str(self.pid1),
            "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
            # Whoever kills nsenter means the command.
            "setpriv", "--pdeathsig", "KILL", *(() if user is None else self._become(user)),
            "env", f"--chdir={cwd}", *variables, *argv,
        )  # fmt: skip

    def _become(self, user: str) -> tuple[str, ...]:
        account = self._account(user)
        # Not runuser or su: they open a PAM session, which has its own ideas of cgroup and limits.
        return (
            "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups",
            "--reset-env",
        )  # fmt: skip

    def _account(self, user: str) -> pwd.struct_passwd:
        for line in self.path("/etc/passwd").read_text().splitlines():
            name, password, uid, gid, gecos, home, shell = line.split(":")
            if name == user:
                return pwd.struct_passwd((name, password, int(uid), int(gid), gecos, home, shell))
        raise MachineError(f"the machine has no user {user!r}")

    def _notifications(self) -> socket.socket:
        address = self.disk.directory / "host" / "notify"
        address.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listening.bind(str(address))
        return listening

    def _launch(self) -> None:
        keeper = self.disk.keeper.pid
        with self._console.open("wb") as console:
            self._launcher = start(
                (
                    *ENTER_CGROUP, str(self._payload.path),
                    "setpriv", "--pdeathsig", "KILL",
                    "nsenter", f"--mount=/proc/{keeper}/ns/mnt",
                    "unshare", "--fork", "--kill-child=KILL", "--propagation", "private",
                    "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--",
                    "bash", str(SCRIPT), str(self.disk.directory),
                ),
                stdin=subprocess.PIPE,
                output=console.fileno(),
            )  # fmt: skip
        self._pid1 = self._await_child(self._launcher)
        waiting = Cgroup(self.cgroup.path / "launcher")
        waiting.create()
        waiting.adopt(self._launcher.pid)
        assert self._launcher.stdin is not None
        self._launcher.stdin.write(b"go\n")
        self._launcher.stdin.close()

    @property
    def _console(self) -> Path:
        return self.disk.directory / "console"

    def _await_child(self, launcher: Process[bytes]) -> int:
        # unshare(1) forks once it is in all of the new namespaces.
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
        deadline = time.monotonic() + 30
        while launcher.poll() is None and time.monotonic() < deadline:
            pids = children.read_text().split()
            if pids:
                return int(pids[0])
            time.sleep(0.002)
        raise MachineError(f"the machine's namespaces could not be made: {self._console.read_text()}")

    def _await_ready(self, notifications: socket.socket, deadline: float) -> None:
        while self.up and time.monotonic() < deadline:
            notifications.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                if "READY=1" in notifications.recv(8192).decode(errors="replace").splitlines():
                    return
        console = self._console.read_text(errors="replace")
        if not self.up:
            self.cut_power()
            raise MachineError(f"the machine died while booting:\n{console}")
        jobs = self.run("systemctl", "list-jobs", "--no-pager", check=False).stdout
        raise MachineError(f"the machine did not finish booting:\n{console}\n{jobs}\n{self.journal()}")


def _witnesses(name: str) -> list[str]:
    """Name the processes that see a mount or are in a cgroup with this name.

    Not by their namespaces: the kernel gives a dead namespace's number to the next one at once.
    """
    return [
        f"process {pid}: {line}"
        for pid in os.listdir("/proc")  # noqa: PTH208 - names are wanted, not paths
        if pid.isdigit()
        for line in _lines_of(int(pid))
        if name in line
    ]


def _lines_of(pid: int) -> list[str]:
    # A process that has just gone, and a zombie, have no such files.
    with contextlib.suppress(OSError):
        return [
            line for file in ("cgroup", "mountinfo") for line in Path(f"/proc/{pid}/{file}").read_text().splitlines()
        ]
    return []
