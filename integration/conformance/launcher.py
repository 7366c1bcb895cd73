"""A `darling` under test and the prefixes made with it; knows what any launcher shows, and nothing more."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import processes
from .processes import NOWHERE, Account, Process

# Every bound here is many times what FACTS.md measured on a busy machine.
COMMAND_SECONDS = 30.0
BOOT_SECONDS = 45.0
GONE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call of the launcher that has ended, or was ended because its time was up."""

    rc: int
    out: bytes
    err: bytes
    seconds: float
    timed_out: bool = False

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def said(self) -> str:
        """All that it printed, wherever."""
        return (self.out + self.err).decode(errors="replace")


@dataclass
class Prefix:
    """One prefix of one user. Its container is booted by the first call, or by ``boot``."""

    darling: Path
    account: Account
    path: Path
    namespaces: dict[str, int] = field(default_factory=dict)

    def environment(self, **extra: str) -> dict[str, str]:
        home = f"/home/{self.account.name}"
        return {"PATH": "/usr/bin:/bin", "LANG": "C", "HOME": home, "DPREFIX": str(self.path), **extra}

    def start(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
        streams: tuple[processes.Stream, processes.Stream, processes.Stream] = (NOWHERE, NOWHERE, NOWHERE),
    ) -> Process:
        """Start the launcher with these words."""
        argv = (str(self.darling), *words)
        return processes.start(argv, self.account, env=env or self.environment(), cwd=cwd, streams=streams)

    def call(
        self,
        *words: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
        seconds: float = COMMAND_SECONDS,
    ) -> Outcome:
        """Call the launcher, its output caught in files: a pipe would be held open by a server it boots."""
        begin = time.monotonic()
        with tempfile.TemporaryFile() as into, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            into.write(stdin)
            into.seek(0)
            client = self.start(*words, env=env, cwd=cwd, streams=(into, out, err))
            timed_out = False
            try:
                client.wait(seconds)
            except processes.TimeUp:
                timed_out = True
            finally:
                processes.end(client)
            taken = time.monotonic() - begin
            self._remember_namespace()
            out.seek(0)
            err.seek(0)
            return Outcome(client.returncode, out.read(), err.read(), taken, timed_out)

    def shell(self, *words: str, stdin: bytes = b"", cwd: Path = Path("/")) -> Outcome:
        """Run a command in the guest."""
        return self.call("shell", *words, stdin=stdin, cwd=cwd)

    def script(self, text: str, *arguments: str, stdin: bytes = b"") -> Outcome:
        """Run a bash script in the guest."""
        return self.shell("bash", "-c", text, "bash", *arguments, stdin=stdin)

    def boot(self) -> Outcome:
        """Boot the container; a first boot may fail and the second work (darling#1613)."""
        outcome = self.call("shell", "true", seconds=BOOT_SECONDS)
        if outcome.rc != 0:
            self.stop()
            outcome = self.call("shell", "true", seconds=BOOT_SECONDS)
        assert outcome.rc == 0, outcome
        return outcome

    @property
    def pid_file(self) -> Path:
        return self.path / ".init.pid"

    def server(self) -> int:
        """Return the pid of the server that runs for this prefix; 0 if none does."""
        with suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text())
            if processes.is_alive(pid) and processes.name(pid) == "darlingserver":
                return pid
        return 0

    def merged(self) -> Path:
        """Return where the host finds the tree that the guest sees."""
        return Path(f"/proc/{self.server()}/root{self.path}")

    def write(self, guest_path: str, content: bytes) -> None:
        """Write a file in the guest, by the guest."""
        outcome = self.script('umask 077; mkdir -p "${1%/*}" && cat > "$1"', guest_path, stdin=content)
        assert outcome.rc == 0, outcome

    def _remember_namespace(self) -> None:
        """Hold the container's mount namespace: while it is held its number cannot become another's."""
        with suppress(OSError):
            if server := self.server():
                held = processes.open_mount_namespace(server)
                if self.namespaces.setdefault(processes.namespace_of(held), held) != held:
                    os.close(held)

    def left_running(self) -> set[int]:
        """Return the processes of every container that this prefix ever had."""
        found = set()
        for namespace, held in list(self.namespaces.items()):
            inhabitants = processes.inhabitants(namespace)
            if not inhabitants:
                # Nobody can come back to it, and held any longer it would keep its mounts.
                os.close(held)
                del self.namespaces[namespace]
            found |= inhabitants
        return found

    def stop(self) -> None:
        """Shut the container down, wait until it is gone, and remove the stale pid file."""
        self._remember_namespace()
        if self.server():
            self.call("shutdown")
        if not processes.eventually(lambda: not self.left_running(), GONE_SECONDS):
            for pid in self.left_running():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)

    @contextmanager
    def running(self, *words: str) -> Iterator[Process]:
        """Keep a command running; it ends with the block."""
        before = self.left_running()
        client = self.start("shell", *words)
        try:
            yield client
        finally:
            self._end(client, self.left_running() - before)

    def _end(self, client: Process, command: set[int]) -> None:
        """Kill a client, or its command where that is all one may kill: the client belongs to root."""
        if os.geteuid() != 0:
            for pid in command:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        processes.end(client)


NewPrefix = Callable[..., Prefix]
