"""Our block in a file that belongs to somebody else, whose other bytes, mode and owner stay as they are."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core import block, drift
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.tree import ROOT, Tree


@dataclass(frozen=True, slots=True)
class Insertion:
    """``lines`` of ours at the end of ``path`` in ``tree``; empty: no block of ours is to be there."""

    tree: Tree
    path: Path
    lines: str = ""

    @property
    def foreign(self) -> str | None:
        """The file's text without our block; None if there is no file, or it is all ours."""
        return block.without(self._text)

    def check(self) -> list[Drift]:
        """Say how our block differs from what it should be."""
        actual = block.lines_of(self._text)
        what = f"{self.path} (our block)"
        if not self.lines:
            return [] if actual is None else [Drift(what, "is not wanted")]
        return drift.of_text(what, actual, self.lines)

    def converge(self) -> bool:
        """Put the block in, or take it out. Says whether anything was changed; raises ForeignFileError."""
        if not self.check():
            return False
        wanted = block.with_block(self._text, self.lines) if self.lines else self.foreign
        if wanted is None:
            self.tree.remove(self.path)
        else:
            self._write(wanted)
        return True

    @property
    def _text(self) -> str | None:
        content = self.tree.read(self.path)
        # Every byte that is no UTF-8 comes back as it was.
        return None if content is None else content.decode(errors="surrogateescape")

    def _write(self, text: str) -> None:
        found = self.tree.attributes(self.path)
        if found and found.kind is not Kind.FILE:
            raise ForeignFileError(
                f"{self.path} is a {found.kind.value}, not a file that could be changed; something else manages it",
                hint="set «register = false» and register the builder there: NixOS's module does both. Its lines: "
                + self.lines.strip().replace("\n", " | "),
            )
        self.tree.write(
            self.path,
            text.encode(errors="surrogateescape"),
            mode=found.mode if found else 0o644,
            owner=found.owner if found else ROOT,
        )
