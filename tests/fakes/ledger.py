"""Files whose owners an ordinary user can change, too: what only root may do is written down instead."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import ROOT, Tree


@dataclass(frozen=True)
class LedgerTree(Tree):
    """A tree in which whoever runs the tests stands for root; trees over the same files share a ``ledger``.

    Run by root, it is a Tree and nothing more.
    """

    ledger: dict[Path, Owner] = field(default_factory=dict)

    def attributes(self, path: Path) -> Attributes | None:
        """See Tree."""
        return self._as_noted(path, super().attributes(path))

    def directory(self, path: Path) -> Attributes | None:
        """See Tree."""
        return self._as_noted(path, super().directory(path))

    def write(self, path: Path, content: bytes, *, mode: int = 0o644, owner: Owner | None = None) -> None:
        """See Tree."""
        super().write(path, content, mode=mode, owner=_possible(owner))
        self._note(path, owner or ROOT)

    def create(self, path: Path, content: bytes, *, mode: int, owner: Owner) -> None:
        """See Tree."""
        super().create(path, content, mode=mode, owner=_possible(owner) or _me())
        self._note(path, owner)

    def replace(self, path: Path, content: bytes, *, mode: int, owner: Owner, mtime_ns: int | None = None) -> None:
        """See Tree."""
        super().replace(path, content, mode=mode, owner=_possible(owner) or _me(), mtime_ns=mtime_ns)
        self._note(path, owner)

    def set_attributes(self, path: Path, *, mode: int, owner: Owner) -> None:
        """See Tree."""
        super().set_attributes(path, mode=mode, owner=_possible(owner) or _me())
        self._note(path, owner)

    def write_link(self, path: Path, target: str, *, owner: Owner | None = None) -> None:
        """See Tree."""
        super().write_link(path, target, owner=_possible(owner))
        self._note(path, owner or ROOT)

    def make_directory(self, path: Path, *, mode: int = 0o755, owner: Owner | None = None) -> None:
        """See Tree."""
        existed = super().attributes(path) is not None
        super().make_directory(path, mode=mode, owner=owner if _is_root() else owner and _me())
        # A tree's own root is not made by it, and has no name in it.
        if path != path.parent and (owner or not existed):
            self._note(path, owner or ROOT)

    def rename(self, path: Path, target: Path) -> None:
        """See Tree."""
        super().rename(path, target)
        before, after = self._real(path), self._real(target)
        for noted in [noted for noted in self.ledger if noted.is_relative_to(before)]:
            self.ledger[after / noted.relative_to(before)] = self.ledger.pop(noted)

    def remove(self, path: Path) -> None:
        """See Tree."""
        super().remove(path)
        gone = self._real(path)
        for noted in [noted for noted in self.ledger if noted.is_relative_to(gone)]:
            del self.ledger[noted]

    def _as_noted(self, path: Path, found: Attributes | None) -> Attributes | None:
        if found is None or _is_root() or found.owner.uid != os.geteuid():
            return found
        return replace(found, owner=self.ledger.get(self._real(path), ROOT))

    def _real(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def _note(self, path: Path, owner: Owner) -> None:
        self.ledger[self._real(path)] = owner


def _is_root() -> bool:
    return os.geteuid() == 0


def _me() -> Owner:
    return Owner(os.geteuid(), os.getegid())


def _possible(owner: Owner | None) -> Owner | None:
    return owner if _is_root() else None
