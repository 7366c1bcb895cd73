"""Directories copied with all that a file can have: owners, modes, times, links, extended attributes, sockets.

Two ways: clones that share their blocks, where the file system can make them (btrfs, xfs); else tar and zstd.
"""

import enum
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Completed
from darlingbuilder.core.errors import PrerequisiteError

# linux/fs.h: share the blocks of another file.
_FICLONE = 0x40049409
_SECONDS = 4 * 3600
# trusted.* has the overlay's marks, and needs to be asked for.
_ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--numeric-owner")
_SUFFIX = ".tar.zst"
# tar leaves sockets out; it is told of them by a list of ours.
_SOCKETS = ".sockets"


class Way(enum.Enum):
    """How a directory is kept."""

    REFLINK = "reflink"
    TAR = "tar.zst"


@dataclass(frozen=True, slots=True)
class _Socket:
    path: bytes
    mode: int
    uid: int
    gid: int


def way_between(source: Path, target: Path) -> Way:
    """Find out, by trying, how what lies in the directory ``source`` can be kept in the directory ``target``."""
    with tempfile.TemporaryFile(dir=source) as from_file, tempfile.TemporaryFile(dir=target) as to_file:
        from_file.write(b"x")
        from_file.flush()
        try:
            fcntl.ioctl(to_file, _FICLONE, from_file.fileno())
        except OSError:
            return Way.TAR
    return Way.REFLINK


def keep(source: Path, kept: Path, way: Way) -> None:
    """Keep the directory ``source`` as ``kept``, to which the way adds what it needs. Raises BuilderError."""
    match way:
        case Way.REFLINK:
            _cloned(source, kept)
        case Way.TAR:
            _packed(source, kept)


def bring_back(kept: Path, target: Path, way: Way) -> None:
    """Make ``target``, which must be absent, what was kept as ``kept``. Raises BuilderError."""
    match way:
        case Way.REFLINK:
            _cloned(kept, target)
        case Way.TAR:
            _unpacked(kept, target)


def fill(source: Path, target: Path) -> None:
    """Copy all that is in the directory ``source`` into the directory ``target``, its own owner and mode included."""
    _run("cp", "--archive", "--no-target-directory", str(source), str(target))


def size(directory: Path) -> int:
    """Give the bytes on the disk of all files below ``directory``; clones count as if they were copies."""
    return sum(os.lstat(path).st_blocks * 512 for path in _below(os.fsencode(directory)))


def _cloned(source: Path, target: Path) -> None:
    _run("cp", "--archive", "--reflink=always", "--no-target-directory", str(source), str(target))


def _packed(source: Path, kept: Path) -> None:
    archive = kept.with_name(kept.name + _SUFFIX)
    _run(
        "tar", "--create", "--file", str(archive), *_ATTRIBUTES, "--sparse", "--warning=no-file-ignored",
        *_compressed(), "--directory", str(source), ".",
    )  # fmt: skip
    lines = [b"%s\0%o %d %d\n" % (one.path, one.mode, one.uid, one.gid) for one in _sockets(os.fsencode(source))]
    kept.with_name(kept.name + _SOCKETS).write_bytes(b"".join(lines))


def _unpacked(kept: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    archive = kept.with_name(kept.name + _SUFFIX)
    _run(
        "tar", "--extract", "--file", str(archive), *_ATTRIBUTES, "--same-permissions", "--same-owner",
        *_compressed(), "--directory", str(target),
    )  # fmt: skip
    for line in kept.with_name(kept.name + _SOCKETS).read_bytes().split(b"\n")[:-1]:
        path, _, rest = line.partition(b"\0")
        mode, uid, gid = rest.split()
        _make_socket(os.path.join(os.fsencode(target), path), int(mode, 8), int(uid), int(gid))  # noqa: PTH118 - bytes


def _make_socket(path: bytes, mode: int, uid: int, gid: int) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)
    os.chown(path, uid, gid, follow_symlinks=False)
    os.chmod(path, mode)  # noqa: PTH101 - bytes


def _sockets(top: bytes) -> Iterator[_Socket]:
    for path in _below(top):
        found = os.lstat(path)
        # A name with a newline in it is nobody's socket: launchd makes it anew.
        if stat.S_ISSOCK(found.st_mode) and b"\n" not in path:
            yield _Socket(os.path.relpath(path, top), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def _below(top: bytes) -> Iterator[bytes]:
    for directory, names, files in os.walk(top):
        yield from (os.path.join(directory, name) for name in (*names, *files))  # noqa: PTH118 - bytes


def _compressed() -> tuple[str, ...]:
    if process.find("zstd") is None:
        raise PrerequisiteError(
            "zstd: not found; a snapshot is a tar archive that it compresses, where files cannot share blocks",
            hint="install zstd (Debian, Arch, nixpkgs: zstd); or keep the state on btrfs, or on xfs with reflink",
        )
    return ("--use-compress-program", "zstd -T0")


def _run(*argv: str) -> Completed:
    # Should we be killed, what goes on copying would be in the way of whoever clears up after us.
    return process.run("setpriv", "--pdeathsig", "KILL", "--", *argv, timeout=_SECONDS)
