"""A snapshot of everything on a machine's disk, to be compared with another one."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# Not on the disk, or not meant to stay.
TRANSIENT = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - the machine's, only left out


class Kind(Enum):
    """What a name in a directory stands for."""

    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"
    # Sockets, fifos, devices.
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the disk; equal to another one if a user could not tell them apart, times excepted."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    # A file's hash, a link's target, a device's number.
    content: str
    mtime_ns: int = field(compare=False)


Tree = Mapping[str, Entry]


def differences(before: Tree, after: Tree) -> list[str]:
    """Describe every path that is new, gone or changed, one a line; times do not count."""
    lines = [f"+ {path} {after[path]}" for path in after.keys() - before.keys()]
    lines += [f"- {path} {before[path]}" for path in before.keys() - after.keys()]
    lines += [
        f"~ {path} {before[path]} -> {after[path]}"
        for path in before.keys() & after.keys()
        if before[path] != after[path]
    ]
    return sorted(lines, key=lambda line: line[2:])


def touched(before: Tree, after: Tree) -> list[str]:
    """List the paths that both have but whose modification time is another one."""
    return sorted(path for path in before.keys() & after.keys() if before[path].mtime_ns != after[path].mtime_ns)


@dataclass(slots=True)
class Surveyor:
    """Takes snapshots of one disk, and hashes no file a second time that has not changed since."""

    _hashes: dict[tuple[int, int, int, int, int], str] = field(default_factory=dict)

    def survey(self, root: Path, *, excluded: Collection[str]) -> dict[str, Entry]:
        """Read all below ``root``; ``excluded`` are paths as seen from inside, left out with all below them.

        What goes away while it is being read is left out as well: a machine that is up goes on working.
        """
        seen = {}
        for path, file in _walk(root, "/", {*TRANSIENT, *excluded}):
            with contextlib.suppress(FileNotFoundError):
                seen[path] = self._entry(file)
        return seen

    def _entry(self, file: os.DirEntry[str]) -> Entry:
        status = file.stat(follow_symlinks=False)
        kind, content = self._content(file.path, status)
        return Entry(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, content, status.st_mtime_ns)

    def _content(self, path: str, status: os.stat_result) -> tuple[Kind, str]:
        if stat.S_ISDIR(status.st_mode):
            return Kind.DIRECTORY, ""
        if stat.S_ISLNK(status.st_mode):
            return Kind.LINK, os.readlink(path)  # noqa: PTH115 - a Path per file doubles the time
        if stat.S_ISREG(status.st_mode):
            return Kind.FILE, self._hash(path, status)
        return Kind.SPECIAL, f"{stat.S_IFMT(status.st_mode):o} {status.st_rdev}"

    def _hash(self, path: str, status: os.stat_result) -> str:
        # ctime cannot be set back, so a file that was changed in secret is hashed again.
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if key not in self._hashes:
            with open(path, "rb") as file:  # noqa: PTH123 - a Path per file doubles the time of a snapshot
                self._hashes[key] = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
        return self._hashes[key]


def _walk(root: Path, below: str, skipped: Collection[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        files = os.scandir(f"{root}{below}")
    except FileNotFoundError:
        return
    with files:
        for file in files:
            path = f"{below.rstrip('/')}/{file.name}"
            if path in skipped:
                continue
            yield path, file
            if file.is_dir(follow_symlinks=False):
                yield from _walk(root, path, skipped)
