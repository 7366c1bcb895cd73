"""The guest's side of sharing: its database brought into line with the host's, by Nix, as the guest's user.

Every method runs in a process of that user's (Accounts.perform), and what it gives goes through JSON.
"""

import contextlib
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import msgspec

from darlingbuilder.adapters import storedb
from darlingbuilder.adapters.nix import HostNix
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.storedb import StoreDatabase, ValidPath
from darlingbuilder.core import descent, storepath
from darlingbuilder.core.storepath import name_of
from darlingbuilder.steps.sharing import graph, temporary, upper
from darlingbuilder.steps.sharing.registering import Registered, Registering, is_there
from darlingbuilder.steps.sharing.temporary import Used

# A command line has room for far more.
_FORGOTTEN_AT_ONCE = 500
_ROOT_DIRECTORIES = ("nix/var/nix/profiles", "nix/var/nix/gcroots")


class Withdrawn(msgspec.Struct, frozen=True):
    """So many paths became invalid; ``whole``: nothing is left to do."""

    count: int
    whole: bool


class Leaning(msgspec.Struct, frozen=True):
    """What of the host's store the guest's own paths need. ``number``: of the newest row that was looked at."""

    number: int
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class GuestStore:
    """The store below ``root``, its upper layer there, and ``merged``, an open directory: what the guest sees.

    Without ``merged`` nobody works in the guest: no lock is taken.
    """

    root: Path
    nix: HostNix
    merged: int | None = None
    # So long may one call take; a service that has to feed its watchdog goes on in the next one.
    seconds: float = float("inf")

    def register(self, wanted: Sequence[ValidPath], *, known: bool = False) -> Registered:
        """Make host paths valid whose references are, once more where the host has other contents by now.

        None is registered half-way, nor one that the guest is about to make itself: its lock is held meanwhile.
        ``known``: only those that the guest's Nix holds valid already.
        """
        with upper.opened(self._store) as own:
            if known:
                with self._database() as database:
                    valid = database.valid(one.path for one in wanted)
                wanted = [one for one in wanted if one.path in valid]
            return Registering(self.root, self.nix, own, self.merged, time.monotonic() + self.seconds).run(wanted)

    def follow(self, wanted: Sequence[ValidPath], *, asks: bool) -> Registered:
        """Register host paths; where the guest's Nix ``asks`` for them, see that they are seen and rightly known."""
        if not asks:
            return self.register(wanted)
        with upper.opened(self._store) as own:
            hidden = {one.path for one in wanted if not own.has(one.name) and not is_there(self.merged, one.name)}
        done = self.register([one for one in wanted if one.path not in hidden], known=True)
        return msgspec.structs.replace(done, later=done.later | hidden, hidden=len(hidden))

    def withdraw(self, gone: Collection[str] | None, hosts: AbstractSet[str]) -> Withdrawn:
        """Make invalid what was shared and is the host's no more, and what refers to it.

        ``gone``: where to look, None for everywhere; ``hosts``: what is valid on the host. Raises NixError, with the
        rest undone, where one is in use.
        """
        with upper.opened(self._store) as own, self._database() as database:
            known = (
                database.numbers()
                if gone is None
                else {number: path for path, number in database.valid(gone).items()}
            )
            lost = [number for number, path in known.items() if path not in hosts and not own.has(name_of(path))]
            order = graph.referrers_first(database, lost)
        deadline = time.monotonic() + self.seconds
        for start in range(0, len(order), _FORGOTTEN_AT_ONCE):
            if time.monotonic() > deadline:
                return Withdrawn(start, whole=False)
            self.nix.forget(self.root, order[start : start + _FORGOTTEN_AT_ONCE])
        return Withdrawn(len(order), whole=True)

    def known(self) -> frozenset[str]:
        """List what is valid here, the guest's own and what is shared."""
        with self._database() as database:
            return frozenset(database.numbers().values())

    def lacking(self, hosts: Mapping[str, str]) -> frozenset[str]:
        """Find what of ``hosts``, hashes by paths, is not valid here, or is shared and has other contents."""
        with upper.opened(self._store) as own, self._database() as database:
            known = database.all_hashes()
            return frozenset(
                path
                for path, nar_hash in hosts.items()
                if path not in known or (known[path] != nar_hash and not own.has(name_of(path)))
            )

    def leaning(self, *, above: int, shared: AbstractSet[str] = frozenset()) -> Leaning:
        """Find what of the host's the guest's own paths, registered after the row ``above``, refer to.

        Its roots' targets are always among it. ``shared``: own paths that are about to be removed here.
        """
        with upper.opened(self._store) as own, self._database() as database:
            numbers = database.numbers(above=above)
            names = own.names() if not above else None

            def is_own(path: str) -> bool:
                return path not in shared and (
                    name_of(path) in names if names is not None else own.has(name_of(path))
                )

            mine = [number for number, path in numbers.items() if is_own(path)]
            needed = {path for referred in database.references(mine).values() for path in referred}
            needed |= set(database.valid(self._rooted()))
            return Leaning(max(numbers, default=above), frozenset(path for path in needed if not is_own(path)))

    def used(self, named: AbstractSet[str]) -> Used:
        """Find what is not the guest's own of what its running Nix processes use, and of what is ``named``."""
        found = temporary.read(self.root / temporary.DIRECTORY)
        with upper.opened(self._store) as own:
            paths = frozenset(path for path in found.paths | named if not own.has(name_of(path)))
        return Used(found.lists, paths)

    def duplicates(self, hosts: AbstractSet[str]) -> frozenset[str]:
        """Find own paths that are valid on both sides; what the guest's own roots need is its own for good."""
        with upper.opened(self._store) as own, self._database() as database:
            names = own.names()
            both = {path for path in database.numbers().values() if name_of(path) in names and path in hosts}
            kept = graph.below(database, database.valid(self._rooted()).values())
            return frozenset(both - {one.path for one in database.described(kept)})

    def sweep(self) -> int:
        """Remove what is nobody's: it hides the host's paths, and takes room; the container must be down.

        That is what is left over of earlier runs, outputs of builds that have failed among them: a store that one of
        these has filled could not be told of another path of the host's.
        """
        with upper.opened(self._store) as own, self._database() as database:
            kept = {name_of(path) for path in database.numbers().values() if own.has(name_of(path))}
            return sum(own.remove(name) for name in own.leftover() - kept)

    def remove(self, paths: Collection[str]) -> frozenset[str]:
        """Remove own paths from the upper layer, their validity untouched; gives those that are gone."""
        with upper.opened(self._store) as own:
            return frozenset(path for path in paths if own.remove(name_of(path)))

    def collectable(self, dead: Sequence[str], *, before: float) -> list[str]:
        """Pick those of ``dead`` paths that were registered ``before`` and that none of the others refers to.

        The referrers come first.
        """
        with self._database() as database:
            times, numbers = database.times(dead), database.valid(dead)
            young = {numbers[path] for path in times if times[path] >= before}
            kept = graph.below(database, young)
            return graph.referrers_first(database, [number for number in numbers.values() if number not in kept])

    @contextlib.contextmanager
    def _database(self) -> Iterator[StoreDatabase]:
        with storedb.opened(self.root / DATABASE) as database:
            yield database

    @property
    def _store(self) -> Path:
        return self.root / "nix/store"

    def _rooted(self) -> set[str]:
        """List what the links among the guest's profiles and gc roots lead to directly."""
        found = set()
        for top in _ROOT_DIRECTORIES:
            with contextlib.suppress(OSError), upper.opened(self.root / top) as roots:
                for place, name, one in descent.entries(roots.descriptor):
                    if stat.S_ISLNK(one.st_mode):
                        with contextlib.suppress(FileNotFoundError):
                            found.add(os.readlink(name, dir_fd=place.here))
        return {path for path in found if storepath.is_store_path(path)}
