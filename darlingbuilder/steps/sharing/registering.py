"""Host paths made valid for the guest, each whole, none that somebody in the guest is at work on."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec.structs import replace

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
    done: Registered = field(default_factory=Registered)
    _valid: set[str] = field(default_factory=set)

    def run(self, wanted: Sequence[ValidPath]) -> Registered:
        """See GuestStore.register."""
        known = self._known(path for one in wanted for path in (one.path, *one.references))
        missing = graph.references_first(one for one in wanted if not self._is_up_to_date(one, known))
        self._valid = known.keys() - {one.path for one in missing}
        for batch in graph.batches(missing, len(missing) or 1 if self.merged is None else _BATCH):
            if time.monotonic() > self.deadline:
                self.done = _together([self.done, *map(_put_off, batch)])
                continue
            with self._locked(batch) as locked:
                self._batch(batch, locked)
        return self.done

    def _batch(self, batch: Sequence[ValidPath], locked: AbstractSet[str]) -> None:
        # What was not valid before the lock was ours may have become so since, and be the guest's own.
        known = self._known(one.path for one in batch) if self.merged is not None else {}
        fates: dict[str, Registered] = {}
        for one in batch:
            if self._is_up_to_date(one, known):
                self._valid.add(one.path)
                continue
            waits = any(path in self.done.later or (path in fates and fates[path].later) for path in one.references)
            fates[one.path] = _put_off(one) if waits or one.name not in locked else self._examined(one)
            if fates[one.path].registered:
                self._valid.add(one.path)
        ready = [one for one in batch if one.path in fates and fates[one.path].registered]
        if ready:
            self.nix.load_into(self.root, "".join(one.registration for one in ready).encode())
        self.done = _together([self.done, *fates.values()])

    def _is_up_to_date(self, one: ValidPath, known: Mapping[str, str]) -> bool:
        """Whether it is valid, as the host has it or as the guest itself has made it."""
        return one.path in known and (known[one.path] == one.nar_hash or self.own.has(one.name))

    def _examined(self, one: ValidPath) -> Registered:
        """Say whether it can be registered: seen through the overlay, all of it. If not, see that it will be."""
        if not self._valid.issuperset(path for path in one.references if path != one.path):
            return Registered()
        if self.own.occupied(one.name):
            # Not valid and not locked: the rest of a build or of a copy that failed, or a whiteout of one.
            uncovered = self.own.remove(one.name)
            if self.merged is None:
                return Registered(registered=uncovered, uncovered=uncovered)
            return replace(_put_off(one), uncovered=uncovered)
        if not is_there(self.merged, one.name):
            return replace(_put_off(one), hidden=1)
        return Registered(registered=1)

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


def _put_off(one: ValidPath) -> Registered:
    return Registered(later=frozenset({one.path}))


def _together(fates: Sequence[Registered]) -> Registered:
    return Registered(
        registered=sum(fate.registered for fate in fates),
        later=frozenset().union(*(fate.later for fate in fates)),
        uncovered=sum(fate.uncovered for fate in fates),
        hidden=sum(fate.hidden for fate in fates),
    )


def is_there(directory: int | None, name: str) -> bool:
    """Whether ``name`` is seen in the open ``directory``, of which None is one where all is."""
    try:
        return directory is None or bool(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except OSError:
        return False
