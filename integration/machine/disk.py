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
from typing import Self, TextIO

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
class Disk:
    """A directory of the host, and the process that keeps its mounts in a namespace nobody else sees."""

    directory: Path
    keeper: Process[bytes]
    lock: TextIO

    @classmethod
    def create(cls, parts: Parts, scratch: Path) -> Self:
        """Make the directory, fill its plain parts and mount the whole."""
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
        # Root's mkdtemp says 0700, and the disk is somebody else's / later.
        directory.chmod(0o711)
        lock = _locked(directory)
        assert lock is not None, f"{directory}: locked by a stranger"
        try:
            _prepare(directory, parts)
            return cls(directory, _assemble(directory, parts), lock)
        except BaseException:
            lock.close()
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
    swept = []
    for directory in scratch.glob(f"{PREFIX}*"):
        lock = _locked(directory)
        if lock is None:
            continue
        with lock:
            cgroup_of(directory).remove()
            discard(directory)
        swept.append(directory)
    return swept


def _locked(directory: Path) -> TextIO | None:
    """Take the directory's lock, which the kernel frees when its owner dies; None if a living one has it."""
    try:
        lock = (directory / "owner").open("a")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


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
