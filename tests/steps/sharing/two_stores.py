"""A host's store, a guest's, and what the guest sees of both: real files, real databases, a Nix that is a fake."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from darlingbuilder.adapters import storedb
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.core.storepath import below, name_of
from darlingbuilder.steps.sharing.guest import GuestStore
from darlingbuilder.steps.sharing.hostpaths import HostPaths
from darlingbuilder.steps.sharing.registering import Registered
from tests.fakes.nix import FakeHostNix, add

# Store paths by short names; Nix's letters leave some out.
A, B, C, D, X, Y = (f"/nix/store/{letter * 32}-{letter}" for letter in "abcdxy")


@dataclass
class TwoStores:
    """``merged`` shows what was there at the last ``remount``, as an overlay does that was looked at then."""

    place: Path
    nix: FakeHostNix

    @property
    def host(self) -> Path:
        return self.place / "host"

    @property
    def guest(self) -> Path:
        return self.place / "guest"

    @property
    def merged(self) -> Path:
        return self.place / "merged"

    @property
    def paths(self) -> HostPaths:
        return HostPaths(self.host / DATABASE)

    def add_to_host(self, path: str, *references: str, text: str = "host's") -> str:
        return add(self.host, path, {"file": text}, references)

    def add_to_guest(self, path: str, *references: str, text: str = "guest's") -> str:
        return add(self.guest, path, {"file": text}, references)

    def remount(self) -> None:
        for root in (self.host, self.guest):
            for path in (root / "nix/store").iterdir():
                (self.merged / path.name).touch()

    def register(self, *, running: bool = True) -> Registered:
        news = self.paths.look()
        with self.store(running=running) as store:
            return store.register(news.added if news else [])

    @contextmanager
    def store(self, *, running: bool = True) -> Iterator[GuestStore]:
        store = GuestStore(self.guest, self.nix)
        if not running:
            yield store
            return
        descriptor = os.open(self.merged, os.O_RDONLY)
        try:
            yield replace(store, merged=descriptor)
        finally:
            os.close(descriptor)

    def known(self) -> set[str]:
        """List what the guest's Nix holds valid."""
        with storedb.opened(self.guest / DATABASE) as database:
            return set(database.numbers().values())

    def leave_in_guest(self, path: str) -> None:
        """Leave something half-made in the upper layer."""
        (below(self.guest, path) / "half").mkdir(parents=True)

    def own(self, path: str) -> bool:
        return below(self.guest, path).exists()

    def lock(self, path: str) -> Path:
        return self.merged / f"{name_of(path)}.lock"


def two_stores(place: Path) -> TwoStores:
    """Give a host that has nothing and a guest that has a path of its own."""
    made = TwoStores(place, FakeHostNix(place / "host"))
    made.merged.mkdir()
    made.add_to_guest(X)
    made.add_to_host(A)
    made.remount()
    return made
