"""What the host knows of processes and mount namespaces, and the one place that starts processes."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# The suite runs where darlingbuilder is not installed, and it starts programs as other users: hence
# subprocess, banned elsewhere, in this module and in no other of the suite.
Process = subprocess.Popen[bytes]  # noqa: TID251
NOWHERE = subprocess.DEVNULL
PIPE = subprocess.PIPE
TimeUp = subprocess.TimeoutExpired
# It becomes the program, in the same process; nothing can be set in one that is setuid root already.
_PRLIMIT = shutil.which("prlimit") or "prlimit"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the host as whom programs are started."""

    name: str
    uid: int
    gid: int


Stream = int | IO[bytes]


def start(
    argv: Sequence[str],
    account: Account,
    *,
    env: Mapping[str, str],
    cwd: Path = Path("/"),
    streams: tuple[Stream, Stream, Stream] = (NOWHERE, NOWHERE, NOWHERE),
) -> Process:
    """Start a program as a user, in a session of its own.

    No core file of a guest's process on the host: its limits are those of who boots the container, and darlingserver
    raises the soft one to the hard one.
    """
    stdin, stdout, stderr = streams
    switching = os.geteuid() == 0 and account.uid != 0
    return subprocess.Popen(  # noqa: TID251 - see above
        (_PRLIMIT, "--core=0:0", "--", *argv),
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        user=account.uid if switching else None,
        group=account.gid if switching else None,
        extra_groups=() if switching else None,
    )


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    with suppress(OSError):
        return _field(pid, "State") not in {"Z", "X"}
    return False


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


def owner(pid: int) -> int:
    return int(_field(pid, "Uid"))


def _field(pid: int, key: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return line.split()[1]
    raise KeyError(key)


def open_mount_namespace(pid: int) -> int:
    return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def namespace_of(held: int) -> str:
    """Name the namespace that a descriptor holds as /proc names it."""
    return f"mnt:[{os.fstat(held).st_ino}]"


def inhabitants(namespace: str) -> set[int]:
    """Return the processes that live in a mount namespace."""
    found = set()
    for pid in all_pids():
        with suppress(OSError):
            if str(Path(f"/proc/{pid}/ns/mnt").readlink()) == namespace:
                found.add(pid)
    return found


def all_pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def listener(port: int) -> int:
    """Return the process that listens on a TCP port of this host; 0 if there is none."""
    inodes = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(table, port)}
    for pid in all_pids():
        with suppress(OSError):
            if any(str(fd.readlink()) in inodes for fd in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
    return 0


def _listening(table: str, port: int) -> Iterator[str]:
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def end(process: Process) -> None:
    """Kill a client, and nothing else: a server that it booted lives in its process group."""
    with suppress(PermissionError):
        process.kill()
    process.wait(10)


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until something is true; tell whether it became so."""
    limit = time.monotonic() + seconds
    while not true():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True
