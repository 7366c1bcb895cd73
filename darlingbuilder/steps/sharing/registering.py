"""Host paths made valid for the guest, each whole, none that somebody in the guest is at work on."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from darlingbuilder.adapters import pathlocks, storedb
from darlingbuilder.adapters.nix import HostNix
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.storedb import ValidPath
from darlingbuilder.steps.sharing import graph
from darlingbuilder.steps.sharing.upper import Upper

# So many locks are held, and so many paths registered, at once: who waits for one of them does not wait for long.
_BATCH = 100


class Registered(msgspec.Struct, frozen=True):
    """What became of host paths. ``later``: somebody in the guest is at work on them, or they are not seen yet.

    ``uncovered``: so many leftovers were removed from the upper layer; ``hidden``: so many are not seen through the
    overlay, which was asked for them before the host had them. Both want a remount.
    """

    registered: int = 0
    later: frozenset[str] = frozenset()
    uncovered: int = 0
    hidden: int = 0


@dataclass
class Registering:
    """One run; see GuestStore, which knows what ``root`` and ``merged`` are."""

    root: Path
    nix: HostNix
    own: Upper
    merged: int | None
    deadline: float
    later: set[str] = field(default_factory=set)
    valid: set[str] = field(default_factory=set)
    registered: int = 0
    uncovered: int = 0
    hidden: int = 0

    def run(self, wanted: Sequence[ValidPath]) -> Registered:
        """See GuestStore.register."""
        known = self._known(path for one in wanted for path in (one.path, *one.references))
        missing = graph.references_first(one for one in wanted if not self._is_up_to_date(one, known))
        self.valid = known.keys() - {one.path for one in missing}
        for batch in graph.batches(missing, len(missing) or 1 if self.merged is None else _BATCH):
            if time.monotonic() > self.deadline:
                self.later.update(one.path for one in batch)
                continue
            with self._locked(batch) as locked:
                self._batch(batch, locked)
        return Registered(self.registered, frozenset(self.later), self.uncovered, self.hidden)

    def _batch(self, batch: Sequence[ValidPath], locked: AbstractSet[str]) -> None:
        # What was not valid before the lock was ours may have become so since, and be the guest's own.
        known = self._known(one.path for one in batch) if self.merged is not None else {}
        ready = []
        for one in batch:
            if self._is_up_to_date(one, known):
                self.valid.add(one.path)
            elif one.name not in locked or self.later.intersection(one.references):
                self.later.add(one.path)
            elif self.valid.issuperset(path for path in one.references if path != one.path) and self._is_clear(one):
                self.valid.add(one.path)
                ready.append(one)
        if ready:
            self.nix.load_into(self.root, "".join(one.registration for one in ready).encode())
            self.registered += len(ready)

    def _is_up_to_date(self, one: ValidPath, known: Mapping[str, str]) -> bool:
        """Whether it is valid, as the host has it or as the guest itself has made it."""
        return one.path in known and (known[one.path] == one.nar_hash or self.own.has(one.name))

    def _is_clear(self, one: ValidPath) -> bool:
        """Whether the host's path is seen through the overlay, all of it; if not, see that it will be."""
        if self.own.occupied(one.name):
            # Not valid and not locked: the rest of a build or of a copy that failed, or a whiteout of one.
            self.uncovered += self.own.remove(one.name)
            if self.merged is None:
                return not self.own.occupied(one.name)
            self.later.add(one.path)
            return False
        if not is_there(self.merged, one.name):
            self.hidden += 1
            self.later.add(one.path)
            return False
        return True

    @contextlib.contextmanager
    def _locked(self, batch: Sequence[ValidPath]) -> Iterator[AbstractSet[str]]:
        names = {one.name for one in batch}
        if self.merged is None:
            yield names
        else:
            with pathlocks.held(self.merged, names) as locked:
                yield locked

    def _known(self, paths: Iterable[str]) -> Mapping[str, str]:
        with storedb.opened(self.root / DATABASE) as database:
            return database.hashes(set(paths))


def is_there(directory: int | None, name: str) -> bool:
    """Whether ``name`` is seen in the open ``directory``, of which None is one where all is."""
    try:
        return directory is None or bool(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except OSError:
        return False
