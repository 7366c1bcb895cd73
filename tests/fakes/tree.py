"""The host's files below a directory that an ordinary user may own."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import ROOT, Tree


@dataclass(frozen=True, slots=True)
class RootlessTree(Tree):
    """A tree in which whoever runs the tests stands for root; only root itself could give files away."""

    def attributes(self, path: Path) -> Attributes | None:
        """See Tree."""
        found = Tree.attributes(self, path)
        return replace(found, owner=ROOT) if found and found.owner == _me() else found

    def write(self, path: Path, content: bytes, *, mode: int = 0o644, owner: Owner | None = None) -> None:
        """See Tree."""
        Tree.write(self, path, content, mode=mode, owner=_real(owner))

    def make_directory(self, path: Path, *, mode: int = 0o755, owner: Owner | None = None) -> None:
        """See Tree."""
        Tree.make_directory(self, path, mode=mode, owner=_real(owner))


def _me() -> Owner:
    return Owner(os.geteuid(), os.getegid())


def _real(owner: Owner | None) -> Owner | None:
    return _me() if owner == ROOT else owner
