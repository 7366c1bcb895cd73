"""A machine's disk: an overlay over read-only layers, with plain directories where an overlay will not do."""

import fcntl
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .cache import discard
from .cgroup import Cgroup, mount_point
from .commands import Process, run, start

# What a Darling prefix or a Nix store is kept in: a prefix is the upper layer of an overlay, which an overlay
# cannot hold, nor can it be mounted id-mapped. Seeded with the layers' content, then plain ext4.
PLAIN = ("/home", "/nix", "/root", "/var/lib")

SCRATCH = Path("/var/tmp")  # noqa: S108 - mkdtemp makes an unpredictable name below it
PREFIX = "darlingbuilder-machine-"
SCRIPT = Path(__file__).with_name("assemble.sh")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a disk is put together from; paths on the left are the machine's, on the right the host's."""

    root: Path
    # The first one wins, as with overlayfs.
    layers: Sequence[Path]
    binds: Mapping[str, Path]
    read_only_binds: Mapping[str, Path]


@dataclass(slots=True)
class Lock:
    """A lock on a directory, which the kernel frees when its owner dies.

    On the directory itself: a file in it could be made anew while somebody removes it all.
    """

    descriptor: int

    @classmethod
    def waited_for(cls, directory: Path) -> Self:
        """Take the lock, once nobody else has it."""
        lock = cls(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        fcntl.flock(lock.descriptor, fcntl.LOCK_EX)
        return lock

    @classmethod
    def tried(cls, directory: Path) -> Self | None:
        """Take the lock; None if a living one has it, or the directory has just gone."""
        try:
            lock = cls(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    def close(self) -> None:
        """Let it go."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True)
class Disk:
    """A directory of the host, and the process that keeps its mounts in a namespace nobody else sees."""

    directory: Path
    keeper: Process[bytes]
    lock: Lock

    @classmethod
    def create(cls, parts: Parts, scratch: Path) -> Self:
        """Make the directory, fill its plain parts and mount the whole."""
        directory, lock = _claimed(scratch)
        try:
            _prepare(directory, parts)
            return cls(directory, _assemble(directory, parts), lock)
        except BaseException:
            with lock:
                discard(directory)
            raise

    @property
    def root(self) -> Path:
        """The machine's / while it is down, reached through the keeper's namespace."""
        return Path(f"/proc/{self.keeper.pid}/root{self.directory}/disk")

    def close(self) -> None:
        """Unmount and delete everything."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        self.keeper.wait(timeout=30)
        for stream in (self.keeper.stdout, self.keeper.stderr):
            if stream is not None:
                stream.close()
        discard(self.directory)
        self.lock.close()


def cgroup_of(directory: Path) -> Cgroup:
    """Name the cgroup of the machine in this directory; the name alone ties the two together."""
    return Cgroup(mount_point() / directory.name)


def sweep(scratch: Path) -> list[Path]:
    """Remove the machines whose owner is gone without having closed them, and return where they were."""
    with Lock.waited_for(scratch):
        found = [(directory, Lock.tried(directory)) for directory in scratch.glob(f"{PREFIX}*")]
    swept = []
    for directory, lock in found:
        if lock is None:
            continue
        with lock:
            if not directory.exists():  # closed between our finding and our locking it
                continue
            cgroup_of(directory).remove()
            discard(directory)
        swept.append(directory)
    return swept


def _claimed(scratch: Path) -> tuple[Path, Lock]:
    """Make a directory of our own; whoever sweeps sees it only once it is locked."""
    with Lock.waited_for(scratch):
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
        lock = Lock.waited_for(directory)
    # Root's mkdtemp says 0700, and the disk is somebody else's / later.
    directory.chmod(0o711)
    return directory, lock


def _prepare(directory: Path, parts: Parts) -> None:
    for name in ("disk", "upper", "work", "host", "plain"):
        (directory / name).mkdir()
    for path in PLAIN:
        plain = _plain(directory, path)
        plain.mkdir()
        for source in (parts.root, *reversed(parts.layers)):
            if (source / path[1:]).is_dir():
                run(("cp", "--archive", "--reflink=auto", f"{source}{path}/.", str(plain)), timeout=300)


def _plain(directory: Path, path: str) -> Path:
    return directory / "plain" / path[1:].replace("/", "-")


def _assemble(directory: Path, parts: Parts) -> Process[bytes]:
    lower = [*parts.layers, parts.root]
    for layer in lower:
        if re.search(r"[:,\\]", os.fspath(layer)):
            raise ValueError(f"{layer}: overlayfs takes no layer whose path holds ':', ',' or '\\'")
    mounts: list[str] = []
    for path in PLAIN:
        mounts += ["rw", path, str(_plain(directory, path))]
    for path, source in parts.binds.items():
        mounts += ["rw", path, str(source)]
    for path, source in parts.read_only_binds.items():
        mounts += ["ro", path, str(source)]
    keeper = start(
        (
            "unshare", "--mount", "--propagation", "private", "--",
            "bash", str(SCRIPT), str(directory), ":".join(map(str, lower)), *mounts,
        ),
        stdin=subprocess.PIPE,
    )  # fmt: skip
    _await_assembly(keeper)
    return keeper


def _await_assembly(keeper: Process[bytes]) -> None:
    assert keeper.stdout is not None
    ready, _, _ = select.select([keeper.stdout], [], [], 60)
    if ready and keeper.stdout.readline() == b"assembled\n":
        return
    keeper.kill()
    _, complaint = keeper.communicate()
    raise OSError(
        f"the machine's disk could not be mounted: {complaint.decode(errors='replace').strip()}; "
        "it needs root, and a scratch directory that is no overlay itself"
    )
