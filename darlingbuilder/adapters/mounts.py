"""What is mounted where, as this process sees it, or another one."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.tree import Tree

_TABLE = Path("/proc/self/mountinfo")
_UPPER = "upperdir="
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system at ``point``; ``kind``: its type, ``options``: those of this mount and of the file system."""

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def upper(self) -> Path | None:
        """The upper layer, by the name that it was mounted with; None if this is no overlay that has one."""
        if self.kind != "overlay":
            return None
        return next((Path(one.removeprefix(_UPPER)) for one in self.options if one.startswith(_UPPER)), None)


def table(tree: Tree) -> list[Mount]:
    """List the mounts of this process, in the order in which they were made; empty if there is no /proc."""
    return _mounts(tree.read(_TABLE) or b"")


def of(pid: int) -> list[Mount]:
    """List the mounts that the process ``pid`` sees; none if there is no such process, or it has ended."""
    with contextlib.suppress(OSError):
        return _mounts(Path(f"/proc/{pid}/mountinfo").read_bytes())
    return []


def holding(mounts: Sequence[Mount], path: Path) -> Mount | None:
    """Find the mount that ``path`` lies on, by its name alone: nothing is touched, so nothing can hang."""
    around = [mount for mount in mounts if mount.point == path or mount.point in path.parents]
    longest = max((len(mount.point.parts) for mount in around), default=0)
    # Of several on one point, the last hides the others.
    return next((mount for mount in reversed(around) if len(mount.point.parts) == longest), None)


def _mounts(content: bytes) -> list[Mount]:
    # A carriage return may be part of a name, and stands there as it is.
    return [_mount(line) for line in content.split(b"\n") if line]


def _mount(line: bytes) -> Mount:
    """Read a line as proc_pid_mountinfo(5) has it: optional fields in the middle end with a lone hyphen."""
    before, _, after = line.partition(b" - ")
    kind, _, *file_system_options = after.split(b" ")
    words = before.split(b" ")
    options = b",".join([words[5], *file_system_options]).split(b",")
    return Mount(Path(_text(words[4])), kind.decode(errors="replace"), frozenset(map(_text, options)))


def _text(escaped: bytes) -> str:
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), escaped)
    return plain.decode(errors="surrogateescape")
