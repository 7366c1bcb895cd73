"""What the host's store holds valid, and what has changed there since the last look."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters import storedb
from darlingbuilder.adapters.storedb import Changes, ValidPath
from darlingbuilder.core.errors import NixError

# Nix opens a derivation when it registers one; those of the host lie where the host's Nix, which registers for the
# guest, cannot see them. No build needs them: what the host sends for building holds no reference to one.
_DERIVATION = ".drv"


@dataclass(frozen=True, slots=True)
class News:
    """What has become valid on the host, and what has ceased to be; ``anew``: what was deleted and made again."""

    added: Sequence[ValidPath]
    removed: AbstractSet[str]
    anew: AbstractSet[str]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed)


@dataclass(slots=True)
class HostPaths:
    """The host's ``database``, looked at again and again. Rows are told apart by their numbers, which grow."""

    database: Path
    _known: dict[int, str] = field(default_factory=dict)
    _changes: Changes | None = None

    @property
    def valid(self) -> frozenset[str]:
        """What was valid at the last look."""
        return frozenset(self._known.values())

    def hashes(self) -> dict[str, str]:
        """Give all that can be shared and is valid at this moment, with the contents' hashes. Raises NixError."""
        with storedb.opened(self.database) as database:
            return {path: digest for path, digest in database.all_hashes().items() if is_sharable(path)}

    def sizes(self) -> dict[str, int]:
        """Give all that can be shared and is valid at this moment, with its bytes as archives. Raises NixError."""
        with storedb.opened(self.database) as database:
            return {path: size for path, size in database.all_sizes().items() if is_sharable(path)}

    def describe(self, paths: AbstractSet[str]) -> list[ValidPath]:
        """Describe those of ``paths`` that are valid at this moment. Raises NixError."""
        with storedb.opened(self.database) as database:
            return database.described(list(database.valid(paths).values()))

    def note(self) -> None:
        """Take what is valid at this moment for seen. Raises NixError."""
        self._changes = Changes(self.database)
        with storedb.opened(self.database) as database:
            self._known = database.numbers()

    def look(self) -> News | None:
        """Tell what has changed since the last look, the first time all that is valid; None if nothing can have.

        Raises NixError if the database cannot be read.
        """
        self._changes = self._changes or Changes(self.database)
        if not self._changes.seen():
            return None
        try:
            with storedb.opened(self.database) as database:
                now = database.numbers()
                added = database.described(now.keys() - self._known.keys())
        except NixError:
            self._changes = None  # the news is still to be heard
            raise
        gone = {path for number, path in self._known.items() if number not in now}
        self._known = now
        valid = self.valid
        return News([one for one in added if is_sharable(one.path)], gone - valid, gone & valid)

    def still(self, paths: AbstractSet[str]) -> set[str]:
        """Give those of ``paths`` that are valid at this moment. Raises NixError."""
        with storedb.opened(self.database) as database:
            return set(database.valid(paths))


def is_sharable(path: str) -> bool:
    """Whether the guest can be told of the store path ``path``: it is no derivation."""
    return not path.endswith(_DERIVATION)
