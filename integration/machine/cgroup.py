"""A machine's place in the host's cgroup2 hierarchy: where its processes are counted and killed."""

import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def mount_point() -> Path:
    """Find the host's cgroup2 hierarchy: /sys/fs/cgroup, or below it where version 1 is in use as well."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if source.startswith("cgroup2 "):
            return Path(mount.split()[4])
    raise OSError(errno.ENOENT, "no cgroup2 hierarchy is mounted; mount -t cgroup2 cgroup2 /sys/fs/cgroup, as root")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup and all below it."""

    path: Path

    def create(self) -> None:
        self.path.mkdir(exist_ok=True)

    def exists(self) -> bool:
        return self.path.is_dir()

    def adopt(self, pid: int) -> None:
        """Move a process, named by its pid in the host's namespace, into this very cgroup."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """List the processes in it and below it, zombies excepted."""
        found: list[int] = []
        for directory, _, _ in os.walk(self.path):
            # Cgroups come and go while systemd runs in them.
            with contextlib.suppress(OSError):
                procs = (Path(directory) / "cgroup.procs").read_text()
                found += [int(line) for line in procs.split()]
        return found

    def kill(self) -> None:
        """Kill every process in it and below it at once, those being forked right now included."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "cgroup.kill").write_text("1")

    def kill_below(self, parent: int, *, timeout: float = 5) -> None:
        """Kill all in it but the one process ``parent``, and wait for that one to go by itself.

        nsenter stays outside of the pid namespace that its child is in. Killed together with it, the child would be
        a zombie of the host's init, which may reap late or, in a container, never; until it does, the
        namespace cannot end.
        """
        deadline = time.monotonic() + timeout
        while (alive := set(self.pids())) and time.monotonic() < deadline:
            for pid in alive - {parent}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def remove(self, *, timeout: float = 10) -> None:
        """Kill what is in it and remove it; raise TimeoutError if that takes longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.exists():
            self.kill()
            self._remove_empty()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path}: still in use by processes {self.pids()}")
            time.sleep(0.005)

    def remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _remove_empty(self) -> None:
        for directory, _, _ in os.walk(self.path, topdown=False):
            # EBUSY until the last zombie in it has been reaped.
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
