"""Garbage collection in the guest, by its own Nix; of the host's paths, which it may see, none is touched."""

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.sshclient import Client
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, storepath
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import GUEST_OWN, Paths
from darlingbuilder.core.settings import Settings, bytes_of
from darlingbuilder.steps.sharing.guest import GuestStore

_SECONDS = 3600.0
_AT_ONCE = 100
_FREED = re.compile(r"(\d+) store paths deleted, ([0-9.]+) (\w+) freed")
_SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection has freed."""

    paths: int = 0
    bytes: int = 0

    def __add__(self, other: "Freed") -> "Freed":
        """Give both together."""
        return Freed(self.paths + other.paths, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Garbage:
    """The dead paths of the guest's store, which must run. ``ssh``: the way in."""

    settings: Settings
    world: World
    ssh: Client

    def collect(self, *, max_age: float | None = None, free: int | None = None) -> Freed:
        """Delete what nothing needs: all, or what was registered more than ``max_age`` seconds ago.

        Stops when ``free`` bytes are freed. What running builds use is needed. Raises DarlingError.
        """
        if max_age is None:
            return _freed(self._nix("--gc", *(() if free is None else ("--max-freed", str(free)))))
        dead = [line for line in self._nix("--gc", "--print-dead").splitlines() if storepath.is_store_path(line)]
        account = accounts.required(self.world.accounts, self.settings.user)
        store = GuestStore(self.world.host.real(Paths(self.settings).state), self.world.nix)
        before = time.time() - max_age
        old = self.world.accounts.perform(
            account, lambda: store.collectable(dead, before=before), list[str], seconds=_SECONDS
        )
        log.info("collecting garbage", dead=len(dead), old=len(old))
        return self._delete([path for path in old if storepath.is_store_path(path)], free)

    def _delete(self, paths: Sequence[str], free: int | None) -> Freed:
        """Delete ``paths``, the referrers first; one that somebody needs by now stays, with what it needs."""
        freed = Freed()
        for start in range(0, len(paths), _AT_ONCE):
            if free is not None and freed.bytes >= free:
                break
            freed += _freed(self._nix("--delete", *paths[start : start + _AT_ONCE], alive=True))
        return freed

    def _nix(self, *words: str, alive: bool = False) -> str:
        """Run nix-store in the guest and give what it prints; ``alive``: that it refuses a path is no error."""
        command = ("nix-store", *self._view(), *words)
        done = self.ssh.run(*map(shlex.quote, command), timeout=_SECONDS)
        if done.code == _SSH_FAILED:
            raise DarlingError(
                f"the guest cannot be reached: {_last(done.stderr)}", hint="see why: darlingbuilder test --no-build"
            )
        if done.code != 0 and not (alive and "still alive" in done.stderr):
            raise DarlingError(
                f"«{shlex.join(command)}» gave {done.code} in the guest: {_last(done.stderr)}",
                hint="its own message says why; see also: darlingbuilder logs",
            )
        return done.stdout

    def _view(self) -> Sequence[str]:
        """Name the store in which only the guest's own paths exist; without one, all are its own."""
        if self.settings.store != "overlay":
            return ()
        return ("--store", f"local?root={quote(str(GUEST_OWN))}")


def _freed(printed: str) -> Freed:
    found = _FREED.search(printed)
    if not found:
        return Freed()
    unit = found[3].upper()
    factor = 1 if unit.startswith("B") else bytes_of(f"1{unit[0]}")
    return Freed(int(found[1]), round(float(found[2]) * factor))


def _last(words: str) -> str:
    return (words.strip().splitlines() or ["it said nothing"])[-1]
