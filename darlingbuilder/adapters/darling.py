"""Darling's launcher and the container that it boots for one prefix."""

import contextlib
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NoReturn, Protocol

from darlingbuilder.adapters import mounts, namespaces, process, procfs
from darlingbuilder.adapters.accounts import Accounts, required
from darlingbuilder.adapters.namespaces import Layers, Place
from darlingbuilder.adapters.process import Completed, Running, Start
from darlingbuilder.core import ending, wait
from darlingbuilder.core.errors import DarlingError, GuestPathError, PrerequisiteError
from darlingbuilder.core.links import Links
from darlingbuilder.core.paths import PASSWD, straight
from darlingbuilder.core.tree import Tree

_SERVER = "darlingserver"
_PID_FILE = Path("/.init.pid")
_LONGEST_PID = 10
# A dead server is reaped after a second or more, and until then the next call fails (FACTS).
_SECONDS_TO_DIE = 10
_ATTEMPTS = 2


class Darling(Protocol):
    """The container of one prefix, run as one unprivileged user."""

    def launcher(self) -> Path:
        """Give the launcher's path. Raises PrerequisiteError if there is none."""

    def server(self) -> int | None:
        """Give the host pid of this prefix's server; None if the container is down."""

    def files(self) -> Tree:
        """Give the guest's files as the guest sees them, whether the container is up or down."""

    def boot(self, log: IO[bytes]) -> None:
        """Bring the container up, what it prints going to ``log``. A missing prefix is made. Raises DarlingError."""

    def shutdown(self) -> None:
        """Bring the container down and wait until it is gone. Succeeds if it is down already."""

    def mount(self, source: Path, target: Path) -> None:
        """Bind the host's directory ``source`` on the guest's directory ``target``; the container must be up."""

    def mount_overlay(self, layers: Layers, target: Path) -> None:
        """Mount an overlay of ``layers`` on the guest's directory ``target``; the container must be up."""

    def refresh(self, target: Path) -> None:
        """Have the overlay on ``target`` find what was put into its layers since it looked there in vain."""

    def is_mounted(self, target: Path) -> bool:
        """Whether something is mounted on the guest's directory ``target``; false if the container is down."""

    def processes(self) -> list[procfs.Process]:
        """List the processes of the container, as the host sees them."""

    def run(self, *command: str, timeout: float) -> Completed:
        """Run a command in the container, which must be up; a status of 0 proves nothing (FACTS)."""

    def start(self, *command: str, log: IO[bytes]) -> Running:
        """Start a command in the container, which must be up, and do not wait for it."""

    def version(self, *, timeout: float) -> Completed:
        """Ask the launcher for its version; it makes the prefix even then, and boots nothing."""

    def at(self, prefix: Path, *, user: str, boot_timeout: float) -> "Darling":
        """Give the same launcher for another prefix; its boot is tried once, for ``boot_timeout`` seconds."""

    def become(self, *command: str, terminal: str) -> NoReturn:
        """Replace this process by a command, or a shell, in the container; ``terminal`` is the guest's TERM."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """The real launcher, for ``prefix`` as ``user``. ``program``: its path, or empty for the one found."""

    prefix: Path
    user: str
    accounts: Accounts
    program: str
    boot_timeout: float
    attempts: int = _ATTEMPTS

    def launcher(self) -> Path:
        """See Darling."""
        found = Path(self.program) if self.program else process.find("darling")
        if found is None or not found.is_file():
            raise PrerequisiteError(
                f"{found or 'darling'}: no launcher there",
                hint="install Darling (https://docs.darlinghq.org), or name its launcher with the setting «darling»",
            )
        return found

    def server(self) -> int | None:
        """See Darling. The pid file outlives its server: it is believed only of a live one of this prefix.

        The guest's user can write that file, and give a process any name. One that sees another root directory than
        ours, or has a user namespace of its own, could lead us astray where we go through its mount namespace.
        """
        content = Tree(self.prefix, Links.REFUSED).head(_PID_FILE, _LONGEST_PID + len("\n") + 1)
        digits = (content or b"").strip()
        found = procfs.process(int(digits)) if digits.isdigit() and len(digits) <= _LONGEST_PID else None
        if found is None or found.zombie or found.name != _SERVER or str(self.prefix) not in found.arguments:
            return None
        return found.pid if procfs.is_at_home(found.pid) else None

    def files(self) -> Tree:
        """See Darling. A running overlay must not be changed from below, so it is entered through its server.

        A link on the way would lead out of there: its target is looked up from our own root.
        """
        server = self.server()
        root = Path(f"/proc/{server}/root{straight(self.prefix)}") if server else self.prefix
        return Tree(root, Links.REFUSED)

    def boot(self, log: IO[bytes]) -> None:
        """See Darling. A first boot may fail and the second work (darling#1613)."""
        fresh = not self.prefix.exists()
        outcome = ""
        for _ in range(self.attempts):
            outcome = self._boot_once(log)
            if not outcome:
                return
            self.shutdown()
            if fresh:
                # Darling sets up a prefix that does not exist, never one that is half-made.
                with contextlib.suppress(OSError, GuestPathError):
                    Tree(Path("/")).remove(self.prefix)
        attempts = "one attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        raise DarlingError(
            f"the container of {self.prefix} did not boot in {attempts} of {self.boot_timeout:g} s: {outcome}",
            hint=f"try it by hand: DPREFIX={self.prefix} {self.launcher()} shell true (as {self.user})",
        )

    def shutdown(self) -> None:
        """See Darling."""
        server = self.server()
        if server:
            process.run(self.launcher(), "shutdown", start=self._start(), timeout=10, check=False)
        self._end_orphans()
        if server and not wait.until(lambda: not procfs.alive(server), seconds=_SECONDS_TO_DIE):
            raise DarlingError(
                f"the server of {self.prefix} (pid {server}) does not end",
                hint="look at it with ps and dmesg",
            )
        # A zombie counts as alive for the launcher; without this file it does not look for one.
        Tree(self.prefix, Links.REFUSED).remove(_PID_FILE)

    def mount(self, source: Path, target: Path) -> None:
        """See Darling. Made in the container's own namespace; one made outside stays invisible to the guest."""
        namespaces.bind(source, self._place(target))

    def mount_overlay(self, layers: Layers, target: Path) -> None:
        """See Darling."""
        namespaces.overlay(layers, self._place(target))

    def refresh(self, target: Path) -> None:
        """See Darling."""
        namespaces.refresh(self._place(target))

    def is_mounted(self, target: Path) -> bool:
        """See Darling."""
        server = self.server()
        point = straight(self.prefix) / target.relative_to("/")
        return server is not None and any(mount.point == point for mount in mounts.of(server))

    def processes(self) -> list[procfs.Process]:
        """See Darling."""
        return procfs.inside(self.prefix)

    def run(self, *command: str, timeout: float) -> Completed:
        """See Darling."""
        return process.run(self.launcher(), "shell", *command, start=self._start(), timeout=timeout, check=False)

    def start(self, *command: str, log: IO[bytes]) -> Running:
        """See Darling."""
        return process.spawn(self.launcher(), "shell", *command, start=self._start(), log=log)

    def version(self, *, timeout: float) -> Completed:
        """See Darling."""
        return process.run(self.launcher(), "--version", start=self._start(), timeout=timeout, check=False)

    def at(self, prefix: Path, *, user: str, boot_timeout: float) -> "Launcher":
        """See Darling."""
        return replace(self, prefix=prefix, user=user, boot_timeout=boot_timeout, attempts=1)

    def become(self, *command: str, terminal: str) -> NoReturn:
        """See Darling."""
        start = self._start()
        start = replace(start, environment={**start.environment, "TERM": terminal})
        process.become(self.launcher(), "shell", *command, start=start)

    def _place(self, target: Path) -> Place:
        server = self.server()
        if server is None:
            raise DarlingError(f"the container of {self.prefix} is down", hint="start it: darlingbuilder start")
        return Place(self.prefix, target, server)

    def _start(self) -> Start:
        # The launcher hands its whole environment on to the guest, NIX_* included. Without a HOME it does not
        # boot; the guest sees that directory as its LinuxHome.
        environment = {
            "DPREFIX": str(self.prefix),
            "HOME": str(self.prefix.parent),
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        }
        account = required(self.accounts, self.user)
        return Start(environment=environment, account=account)

    def _boot_once(self, log: IO[bytes]) -> str:
        """Try a boot; say what became of a launcher that did not bring it about, and end what that left."""
        self._end_orphans()
        running = self.start("true", log=log)
        booted = False
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(self.boot_timeout)
            # The status alone proves nothing: see what the boot has brought about.
            booted = running.poll() == 0 and bool(self.server()) and self.files().read(PASSWD) is not None
            return "" if booted else _outcome(running)
        finally:
            if not booted:
                process.end(running)

    def _end_orphans(self) -> None:
        for found in procfs.inside(self.prefix):
            process.kill(found.pid, signal.SIGKILL)
        wait.until(lambda: not procfs.inside(self.prefix), seconds=_SECONDS_TO_DIE)


def _outcome(running: Running) -> str:
    code = running.poll()
    if code is None:
        return "the launcher does not end"
    return f"the launcher {ending.told(code)}" + (", but no container is there" if code == 0 else "")
