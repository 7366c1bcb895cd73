"""The host's store paths, valid in the guest for as long as they are on the host, while the builder runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.identity import Answer
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.storedb import Changes, ValidPath
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log
from darlingbuilder.core.errors import BuilderError, NixError
from darlingbuilder.core.paths import STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.sharing.guest import GuestStore, Leaning, Withdrawn
from darlingbuilder.steps.sharing.hostpaths import HostPaths
from darlingbuilder.steps.sharing.inuse import InUse
from darlingbuilder.steps.sharing.registering import Registered
from darlingbuilder.steps.sharing.roots import HostRoots
from darlingbuilder.steps.sharing.space import FreeSpace
from darlingbuilder.steps.sharing.way import Way

# Some 50 000 paths are registered in 5 s on a quiet machine.
_SECONDS = 600
# A fraction of the watchdog's time.
_A_WHILE = 10.0
# Leftovers are removed in one round, what was below is seen after a remount, and registered in the next.
_ROUNDS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


@dataclass
class Sharing:
    """One run of the builder's sharing. Where the guest's Nix asks the host's what is valid, nothing is registered.

    What it has noted of the answers is taken back all the same. ``way``: how it learns that; None before it is known.
    """

    settings: Settings
    world: World
    way: Way | None = None
    space: FreeSpace = field(init=False)
    _hosts: HostPaths = field(init=False)
    _guests: Changes = field(init=False)
    _in_use: InUse = field(init=False)
    _leaned: int = 0
    _later: dict[str, ValidPath] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _stale: bool = False
    _unread: bool = False
    _retry_at: float = 0.0
    _resting_until: float = 0.0
    _pause: float = _FIRST_PAUSE

    def __post_init__(self) -> None:
        """Look at the databases from nothing."""
        self.space = FreeSpace(self.settings, self.world.host.real(Paths(self.settings).nix))
        self._hosts = HostPaths(self._host_database)
        self._guests = Changes(self._root / DATABASE)
        self._in_use = InUse(self.settings, self.world, self._hosts)

    def sweep(self) -> None:
        """Remove what hides the host's paths from the guest and is nobody's; the container must be down.

        Of what is whole on both sides the guest's copy goes, where the host's is sure to stay. Raises NixError.
        """
        self._hosts.note()
        hosts = self._hosts.valid
        swept = self._as_guest(lambda store: store.sweep(), int)
        twice = self._as_guest(lambda store: store.duplicates(hosts), frozenset[str])
        needed = self._as_guest(lambda store: store.leaning(above=0, shared=twice), Leaning).paths
        unsafe = needed - self._roots.hold(needed, self._hosts)
        removed = self._as_guest(lambda store: store.remove(twice - unsafe), frozenset[str])
        log.debug("swept the guest's store", names=swept, duplicates=len(removed))

    def begin(self, way: Way) -> None:
        """Bring the guest's database into line with the host's; the store is mounted, and nobody works in the guest.

        Raises NixError.
        """
        self.way = way
        self.world.host.make_directory(self.settings.names.host_roots)
        withdrawn, registered = self._align()
        log.info(
            "sharing the host's store", way=way.value, paths=len(self._hosts.valid), new=registered, gone=withdrawn
        )

    def look(self) -> None:
        """Follow what has changed on either side; without news this costs microseconds.

        What fails is said, and tried again later.
        """
        self.space.look()
        if self.way is None or time.monotonic() < self._resting_until:
            return
        try:
            # The first of all: a collection on the host waits for nobody.
            self._in_use.look()
            self._follow_host()
            self._follow_guest()
        except (BuilderError, OSError) as error:
            # A full disk ends no builds. A container that has just ended is noticed by whoever watches it.
            log.warning("the guest may not know all of the host's store", why=error)
            self._resting_until = self._later_on()

    def renew(self, way: Way) -> None:
        """Bring the guest's database into line with the host's while builds run, as after a garbage collection.

        Another process shares the store meanwhile. What that has followed before we had come so far is followed anew.
        """
        self.way = way
        with self.world.darling.files().descriptor(STORE) as merged:
            self._align(merged=merged)
        self._follow_host()
        self._follow_guest()

    def _align(self, merged: int | None = None) -> tuple[int, int]:
        """Compare everything; says how much was withdrawn and how much registered."""
        # Before the host's: what somebody else registers from now on is not to be missed there.
        known = self._as_guest(lambda store: store.known(), frozenset[str])
        self._hosts.note()
        hosts, hashes = self._hosts.valid, self._hosts.hashes()
        try:
            withdrawn = self._as_guest(lambda store: store.withdraw(known - hosts, hosts), Withdrawn).count
        except NixError as error:
            if merged is None:
                raise
            log.warning("a build in the guest uses what the host has deleted", why=error)
            withdrawn = 0
        self._remount()
        lacking = self._as_guest(lambda store: store.lacking(hashes), frozenset[str])
        wanted = self._hosts.describe(lacking)
        done = self._as_guest(
            lambda store: replace(store, merged=merged).register(wanted, known=self._asks), Registered
        )
        if done.uncovered:
            self._remount()
        self._later |= {one.path: one for one in wanted if one.path in done.later}
        self.tidy()
        return withdrawn, done.registered

    def tidy(self) -> None:
        """Keep on the host what the guest's own paths need, and nothing else."""
        held = self._roots.held()
        self._roots.release(held - self._lean(above=0))

    def end(self) -> None:
        """End what runs beside the builder, and keep nothing for builds that end with it."""
        self.space.end()
        self._in_use.end()

    def _follow_host(self) -> None:
        news = self._hosts.look()
        if news:
            self._later |= {one.path: one for one in news.added}
            self._lost = (self._lost | news.removed) - news.anew
            # What was looked up before it was there, or has been replaced, is seen as it was until a remount.
            self._stale = self._stale or bool(news.removed or news.anew)
        if (news or time.monotonic() >= self._retry_at) and (self._later or self._lost or self._stale):
            self._settle()

    def _follow_guest(self) -> None:
        self._unread = self._guests.seen() or self._unread
        if self._unread:
            self._lean(above=self._leaned)
            self._unread = False

    def _settle(self) -> None:
        """Withdraw and register what is left to do; what somebody in the guest is at work on stays for later."""
        if self._withdraw() or self._stale:
            self._remount()
        for _ in range(_ROUNDS):
            done = self._round()
            self._later = {path: one for path, one in self._later.items() if path in done.later}
            if not (done.uncovered or done.hidden):
                break
            self._remount()
        self._retry_at = self._later_on()
        if not (self._later or self._lost):
            self._pause = _FIRST_PAUSE

    def _withdraw(self) -> int:
        hosts, gone = self._hosts.valid, frozenset(self._lost)
        if not gone:
            return 0
        try:
            done = self._as_guest(lambda store: replace(store, seconds=_A_WHILE).withdraw(gone, hosts), Withdrawn)
        except NixError as error:
            # A build that uses it is lost with it; the next ones are not to wait for that one's end.
            log.debug("the guest uses what the host has deleted", why=error)
            return 1
        if done.whole:
            self._lost.clear()
        return done.count

    def _round(self) -> Registered:
        wanted = list(self._later.values())
        if not wanted:
            return Registered()
        with self.world.darling.files().descriptor(STORE) as merged:
            return self._as_guest(
                lambda store: replace(store, merged=merged, seconds=_A_WHILE).follow(wanted, asks=self._asks),
                Registered,
            )

    def _lean(self, *, above: int) -> set[str]:
        """Keep on the host what the guest's own paths need, those registered after the row ``above``."""
        leaning = self._as_guest(lambda store: store.leaning(above=above), Leaning)
        kept = self._roots.hold(leaning.paths, self._hosts)
        self._leaned = leaning.number
        # Too late: what needs them is as lost as they are.
        self._lost |= leaning.paths - kept
        return kept

    @property
    def _asks(self) -> bool:
        """Whether the guest's Nix asks the host's."""
        return self.way is Way.LOCAL_OVERLAY

    def _remount(self) -> None:
        self.world.darling.refresh(STORE)
        self._stale = False

    def _later_on(self) -> float:
        """Give the time of the next attempt, each time a little later."""
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return time.monotonic() + self._pause

    @property
    def _host_database(self) -> Path:
        """Where the unit shows it to us; without its walls, where it lies."""
        shown = self.settings.names.walled_database / DATABASE.name
        return self.world.host.real(shown if self.world.host.attributes(shown) else Path("/") / DATABASE)

    @property
    def _root(self) -> Path:
        return self.world.host.real(Paths(self.settings).state)

    @property
    def _roots(self) -> HostRoots:
        return HostRoots(self.settings.names.host_roots, self.world)

    def _as_guest(self, action: Callable[[GuestStore], Answer], kind: type[Answer]) -> Answer:
        account = accounts.required(self.world.accounts, self.settings.user)
        store = GuestStore(self._root, self.world.nix)
        return self.world.accounts.perform(account, lambda: action(store), kind, seconds=_SECONDS)
