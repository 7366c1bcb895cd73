"""What is mounted where, as this process sees it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.tree import Tree

_TABLE = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system at ``point``; ``kind``: its type, ``options``: those of this mount and of the file system."""

    point: Path
    kind: str
    options: frozenset[str]


def table(tree: Tree) -> list[Mount]:
    """List the mounts of this process, in the order in which they were made; empty if there is no /proc."""
    return [_mount(line) for line in (tree.read(_TABLE) or b"").splitlines()]


def holding(mounts: Sequence[Mount], path: Path) -> Mount | None:
    """Find the mount that ``path`` lies on, by its name alone: nothing is touched, so nothing can hang."""
    around = [mount for mount in mounts if mount.point == path or mount.point in path.parents]
    longest = max((len(mount.point.parts) for mount in around), default=0)
    # Of several on one point, the last hides the others.
    return next((mount for mount in reversed(around) if len(mount.point.parts) == longest), None)


def _mount(line: bytes) -> Mount:
    """Read a line as proc_pid_mountinfo(5) has it: optional fields in the middle end with a lone hyphen."""
    before, _, after = line.partition(b" - ")
    kind, _, *file_system_options = after.split(b" ")
    words = before.split(b" ")
    options = b",".join([words[5], *file_system_options]).decode(errors="replace")
    return Mount(_path(words[4]), kind.decode(errors="replace"), frozenset(options.split(",")))


def _path(escaped: bytes) -> Path:
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), escaped)
    return Path(plain.decode(errors="surrogateescape"))
