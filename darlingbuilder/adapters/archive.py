"""Directories copied with all that a file can have: owners, modes, times, links, extended attributes, sockets.

Two ways: clones that share their blocks, where the file system can make them (btrfs, xfs); else tar and zstd.
"""

import enum
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Completed
from darlingbuilder.core import descent
from darlingbuilder.core.descent import Descent
from darlingbuilder.core.errors import GuestPathError, PrerequisiteError

# linux/fs.h: share the blocks of another file.
_FICLONE = 0x40049409
_SECONDS = 4 * 3600
# trusted.* has the overlay's marks, and needs to be asked for.
_ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--numeric-owner")
_SUFFIX = ".tar.zst"
# tar leaves sockets out; it is told of them by a list of ours.
_SOCKETS = ".sockets"
# Both cp and tar name what they make by its path, which the kernel takes up to 4096 bytes (PATH_MAX); the place that
# they make it in, and one more name, have to fit in, too.
_LONGEST_PATH = 4096 - 512
_SHOWN = 60


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
    # Before anything is copied: neither way could bring back what lies too deep.
    sockets = list(_sockets(source))
    match way:
        case Way.REFLINK:
            _cloned(source, kept)
        case Way.TAR:
            _packed(source, kept, sockets)
    _settle(kept.parent)


def bring_back(kept: Path, target: Path, way: Way) -> None:
    """Make ``target``, which must be absent, what was kept as ``kept``. Raises BuilderError."""
    match way:
        case Way.REFLINK:
            _cloned(kept, target)
        case Way.TAR:
            _unpacked(kept, target)
    _settle(target)


def fill(source: Path, target: Path) -> None:
    """Copy all that is in the directory ``source`` into the directory ``target``, its own owner and mode included.

    Raises BuilderError.
    """
    list(_sockets(source))  # for what lies too deep
    _run("cp", "--archive", "--no-target-directory", str(source), str(target))
    _settle(target)


def size(directory: Path) -> int:
    """Give the bytes on the disk of all files below ``directory``; clones count as if they were copies."""
    return sum(found.st_blocks * 512 for _, _, found in _below(directory))


def _cloned(source: Path, target: Path) -> None:
    _run("cp", "--archive", "--reflink=always", "--no-target-directory", str(source), str(target))


def _packed(source: Path, kept: Path, sockets: Sequence[_Socket]) -> None:
    archive = kept.with_name(kept.name + _SUFFIX)
    _run(
        "tar", "--create", "--file", str(archive), *_ATTRIBUTES, "--sparse", "--warning=no-file-ignored",
        *_compressed(), "--directory", str(source), ".",
    )  # fmt: skip
    lines = [b"%s\0%o %d %d\n" % (one.path, one.mode, one.uid, one.gid) for one in sockets]
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


def _sockets(top: Path) -> Iterator[_Socket]:
    """List the sockets below ``top``. Raises GuestPathError if that is too deep to be brought back."""
    for place, name, found in _below(top):
        if stat.S_ISDIR(found.st_mode) and len(os.fsencode(place.path)) > _LONGEST_PATH:
            raise GuestPathError(
                f"{top} holds directories too deep to be copied: {place.path[:_SHOWN]!r}…",
                hint="remove them, or begin anew: darlingbuilder reset",
            )
        # A name with a newline in it is nobody's socket: launchd makes it anew.
        if stat.S_ISSOCK(found.st_mode) and "\n" not in (path := os.path.join(place.path, name)):  # noqa: PTH118
            yield _Socket(os.fsencode(path), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def _below(top: Path) -> Iterator[tuple[Descent, str, os.stat_result]]:
    opened = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield from descent.entries(opened)
    finally:
        os.close(opened)


def _settle(copied: Path) -> None:
    """Have on the disk what was copied: its original may be removed next, and then the power be lost."""
    _run("sync", "--file-system", str(copied))


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
