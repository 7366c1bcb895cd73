"""What /proc says of processes: who listens, what runs in a container, who is whose child."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import mounts
from darlingbuilder.core.paths import straight

_PROC = Path("/proc")
_LISTEN = "0A"
_ESTABLISHED = "01"
# Among the words after the name (proc(5)).
_START_TIME = 19
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine. ``zombie``: it has ended and nobody has asked for its status."""

    pid: int
    parent: int
    name: str
    zombie: bool
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection of this machine. ``peer``: where it comes from; ``inode``: of the socket on our side."""

    peer: tuple[str, int]
    inode: str

    @property
    def name(self) -> str:
        """What the descriptor of a process that has it leads to."""
        return f"socket:[{self.inode}]"


def process(pid: int) -> Process | None:
    """Describe ``pid``; None if there is no such process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes().decode(errors="replace")
        arguments = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold any character.
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    state, parent = stat[stat.rindex(")") + 1 :].split()[:2]
    return Process(pid, int(parent), name, state in "ZX", tuple(arguments.rstrip("\0").split("\0")))


def everything() -> list[Process]:
    """List every process that we see."""
    return [found for pid in _pids() if (found := process(pid))]


def started(pid: int) -> float | None:
    """Give when ``pid`` was started, in seconds of the epoch, to a hundredth; None if there is no such process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = int(stat[stat.rindex(")") + 1 :].split()[_START_TIME])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def alive(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie does not."""
    found = process(pid)
    return found is not None and not found.zombie


def is_at_home(pid: int) -> bool:
    """Whether ``pid`` has our root directory and our user namespace; its mount namespace may be another."""
    ours, theirs = _PROC / "self", _PROC / str(pid)
    with contextlib.suppress(OSError):
        same_root = (ours / "root").samefile(theirs / "root")
        return same_root and (ours / "ns/user").readlink() == (theirs / "ns/user").readlink()
    return False


def inside(prefix: Path) -> list[Process]:
    """List the processes of the container of ``prefix``, all in mount namespaces other than ours.

    There the prefix is the upper layer of an overlay, named as the launcher was told. Whatever else is mounted on it
    makes no container: a disk of the administrator's is seen by every process, a unit may have its way to it barred.
    """
    names = {prefix, straight(prefix)}
    verdicts = {_namespace("self"): False}
    found = []
    for pid in _pids():
        namespace = _namespace(str(pid))
        if namespace is None:
            continue
        # One that has just ended sees nothing, and says nothing of the others there.
        if namespace not in verdicts and (seen := mounts.of(pid)):
            verdicts[namespace] = any(mount.upper in names for mount in seen)
        described = process(pid) if verdicts.get(namespace) else None
        if described and not described.zombie:
            found.append(described)
    return found


def listener(port: int) -> Process | None:
    """Find the process that listens on TCP ``port``; None if nobody does, or it cannot be seen."""
    return next(iter(listeners(port)), None)


def listeners(port: int) -> list[Process]:
    """List the processes that listen on TCP ``port``, on any address."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, _LISTEN)}
    return [found for pid in _pids() if sockets & open_files(pid) and (found := process(pid))] if sockets else []


def is_listening(port: int) -> bool:
    """Whether anybody listens on TCP ``port``, seen or not."""
    return any(_inodes(port, _LISTEN))


def connections(port: int) -> list[Connection]:
    """List the established connections to our TCP ``port``."""
    return [
        Connection(_address(words[2]), words[9])
        for words in _sockets()
        if words[3] == _ESTABLISHED and int(words[1].rpartition(":")[2], 16) == port
    ]


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _namespace(pid: str) -> str | None:
    try:
        return str((_PROC / pid / "ns" / "mnt").readlink())
    except OSError:
        return None


def open_files(pid: int) -> set[str]:
    """List what the descriptors of ``pid`` lead to; none if there is no such process."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(_PROC / str(pid) / "fd"):
            # One of ours lists this directory, and is gone by now.
            with contextlib.suppress(OSError):
                found.add(str(Path(entry).readlink()))
    return found


def environment(pid: int) -> tuple[str, ...]:
    """Give what ``pid`` was started with, each «NAME=value»; nothing if there is no such process."""
    with contextlib.suppress(OSError):
        return tuple((_PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0"))
    return ()


def copies_stdin(pid: int) -> bool:
    """Whether ``pid`` has its standard input under another descriptor, too, beyond the three standard ones."""
    descriptors = _PROC / str(pid) / "fd"
    with contextlib.suppress(OSError):
        stdin = (descriptors / "0").readlink()
        others = [entry for entry in os.scandir(descriptors) if int(entry.name) > _STDERR]
        return any(_leads_to(Path(entry), stdin) for entry in others)
    return False


def _inodes(port: int, state: str) -> Iterator[str]:
    for words in _sockets():
        if words[3] == state and int(words[1].rpartition(":")[2], 16) == port:
            yield words[9]


def _sockets() -> Iterator[list[str]]:
    """Give what the kernel says of each TCP socket: our address, the other, the state, …, the inode (proc(5))."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            yield from (line.split() for line in (_PROC / "net" / table).read_text().splitlines()[1:])


def _address(written: str) -> tuple[str, int]:
    """Read an address and a port, in hexadecimal, of the former four bytes each in the machine's order."""
    words, _, port = written.partition(":")
    parts = [int(words[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(words), 8)]
    family = socket.AF_INET if len(parts) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(parts)), int(port, 16)


def _leads_to(entry: Path, target: Path) -> bool:
    with contextlib.suppress(OSError):  # it may be closed by now
        return entry.readlink() == target
    return False
