"""Files that darlingbuilder owns whole: compared, written and withdrawn in one way."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core import drift
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.links import Links
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import ROOT, Tree

HEADER = "# managed by darlingbuilder"
# No file of ours is longer; what somebody in the guest has put in the place of one may be, and is not read for that.
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A text file of ours at ``path`` in ``tree``; its first line is HEADER, which tells it from a foreign one."""

    tree: Tree
    path: Path
    body: str
    mode: int = 0o644
    owner: Owner = ROOT

    @property
    def text(self) -> str:
        """The whole content, header included."""
        # No semicolon: in a machines file it begins a new entry, even inside a comment (core/machines.py).
        return f"{HEADER}: changes are undone by «darlingbuilder init»\n{self.body}"


def check(files: Iterable[ManagedFile]) -> list[Drift]:
    """List how ``files`` differ from what is there, in content, mode or owner."""
    return [found for file in files for found in _check_one(file)]


def converge(files: Iterable[ManagedFile]) -> None:
    """Write those of ``files`` that differ. Raises ForeignFileError where somebody else's file is in the way.

    In the guest nothing is somebody else's: whoever can write there is not to keep us from shutting him out.
    """
    for file in files:
        if not _check_one(file):
            continue
        if file.tree.links is Links.FOLLOWED:
            _refuse_foreign(file)
        file.tree.write(file.path, file.text.encode(), mode=file.mode, owner=file.owner)


def withdraw(tree: Tree, paths: Iterable[Path]) -> None:
    """Remove the files of ours at ``paths``; a foreign one stays. Succeeds if they are already gone."""
    for path in paths:
        if is_ours(_beginning(tree, path)):
            tree.remove(path)


def is_ours(content: bytes | None) -> bool:
    """Whether ``content`` is that of a file of ours; an empty one holds nothing that could be anybody's."""
    return content == b"" or (content is not None and content.startswith(HEADER.encode()))


def _check_one(file: ManagedFile) -> list[Drift]:
    what = str(file.path)
    attributes = file.tree.attributes(file.path)
    if attributes and attributes.size > _LONGEST:
        return [Drift(what, "is longer than any file of ours")]
    actual = file.tree.read(file.path)
    if differences := drift.of_text(what, None if actual is None else actual.decode(errors="replace"), file.text):
        return differences
    if attributes is None:
        return [Drift(what, "absent")]
    if attributes.mode != file.mode:
        return [Drift(what, f"mode is {attributes.mode:04o}, should be {file.mode:04o}")]
    if attributes.owner != file.owner:
        return [Drift(what, f"belongs to {attributes.owner.uid}:{attributes.owner.gid}")]
    return []


def _beginning(tree: Tree, path: Path) -> bytes | None:
    # By which a file is told from a foreign one, however long the guest's user has made it.
    return tree.head(path, len(HEADER.encode()))


def _refuse_foreign(file: ManagedFile) -> None:
    content = _beginning(file.tree, file.path)
    if content is not None and not is_ours(content):
        raise ForeignFileError(
            f"{file.path} was not written by darlingbuilder",
            hint="move it away if it is not needed, then run «darlingbuilder init» again",
        )
