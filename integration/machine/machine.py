"""A machine: a real systemd as pid 1 of its own namespaces, which boots, runs commands and leaves no trace."""

import pwd
import subprocess
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
from .system import ENTER_CGROUP, MachineError, System, payload
from .traces import traces
from .tree import Entry, Surveyor


@dataclass(slots=True)
class Machine:
    """One machine, used as a context manager or closed by hand; not to be shared between threads."""

    disk: Disk
    cgroup: Cgroup
    binds: frozenset[str]
    _system: System | None = None
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
        return self._system is not None and self._system.alive

    @property
    def pid1(self) -> int:
        """The host's pid of the machine's systemd."""
        return self._running().pid1

    # -- power ---------------------------------------------------------------------------------------

    def boot(self, *, timeout: float = 90) -> None:
        """Boot to multi-user.target, with everything that is enabled there started or failed.

        Call it from the main thread: the machine dies with the thread that booted it.
        """
        if self.up:
            raise MachineError("the machine is up already")
        self.cut_power()
        self._system = System.launch(self.disk, self.cgroup)
        if not self._system.await_ready(timeout):
            raise MachineError(f"the machine did not boot:\n{self._state()}")

    def shut_down(self, *, timeout: float = 60) -> None:
        """Shut down in good order, every unit stopped; raise MachineError if that takes too long."""
        if self._system is not None and self._system.alive and not self._system.shut_down(timeout):
            raise MachineError(f"no end of the shutdown after {timeout} s:\n{self._state()}")
        self.cut_power()

    def cut_power(self) -> None:
        """End every process of the machine at once; the disk stays as it is."""
        if self._system is not None:
            self._system.kill()
        # After pid 1: those who wait outside for a command inside have by now reaped it (see kill_below).
        self.cgroup.remove()
        self._system = None

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
        root = Path(f"/proc/{self.pid1}/root") if self.up else self.disk.root
        return root / inside[1:]

    def tree(self) -> dict[str, Entry]:
        """Take a snapshot of the whole disk, without what is bound from the host."""
        return self._surveyor.survey(self.path("/"), excluded=self.binds)

    def leftovers(self) -> list[str]:
        """Name everything of this machine that is still there; nothing may be after ``close``."""
        return traces(self.disk.directory, self.cgroup)

    # -- inside --------------------------------------------------------------------------------------

    def _running(self) -> System:
        if self._system is None or not self._system.alive:
            raise MachineError("the machine is switched off; boot() it first")
        return self._system

    def _leaf(self) -> Cgroup:
        """Make a cgroup for one command: what it starts can then be killed, daemons included."""
        self._running()
        leaf = Cgroup(payload(self.cgroup).path / f"run-{next(self._runs)}")
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

    def _state(self) -> str:
        """Tell all that can be known about a machine that is stuck or dead."""
        assert self._system is not None
        console = self._system.console.read_text(errors="replace")
        if not self.up:
            return f"it died:\n{console}"
        jobs = self.run("systemctl", "list-jobs", "--no-pager", check=False).stdout
        return f"{console}\n{jobs}\n{self.journal()}"
