"""What the guest's builds use of the host's store at this moment, kept on the host for as long.

Nix's collector knows the lists of its own store's processes, not of the guest's; and of a process in the container it
sees the environment, but a name below the prefix for all that is open there.
"""

import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.world import World
from darlingbuilder.core.errors import GuestPathError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.profile import nix_tree
from darlingbuilder.steps.sharing import temporary
from darlingbuilder.steps.sharing.guest import GuestStore
from darlingbuilder.steps.sharing.hostpaths import HostPaths
from darlingbuilder.steps.sharing.named import named
from darlingbuilder.steps.sharing.roots import HostRoots
from darlingbuilder.steps.sharing.temporary import Used

_DIRECTORY = Path("/") / temporary.DIRECTORY.relative_to("nix")
_SECONDS = 60
# While builds run, their processes come and go, and nothing tells of it.
_SECONDS_BETWEEN = 1.0


@dataclass
class InUse:
    """One run of the builder's watch on that. ``hosts``: what the host's store holds."""

    settings: Settings
    world: World
    hosts: HostPaths
    _seen: AbstractSet[object] = frozenset()
    _next: float = 0.0
    _busy: bool = True

    def look(self) -> None:
        """Keep what has come into use, and nothing that is not; cheap while nobody uses anything. Raises NixError."""
        found = self._stamps()
        if found == self._seen and not (self._busy and time.monotonic() >= self._next):
            return
        account = accounts.required(self.world.accounts, self.settings.user)
        store = GuestStore(self.world.host.real(Paths(self.settings).state), self.world.nix)
        words = named(self.world.darling)
        used = self.world.accounts.perform(account, lambda: store.used(words), Used, seconds=_SECONDS)
        roots = self._roots
        kept = roots.hold(used.paths, self.hosts)
        roots.release(roots.held() - kept)
        self._seen, self._busy = found, used.lists > 0
        self._next = time.monotonic() + _SECONDS_BETWEEN

    def end(self) -> None:
        """Keep nothing any longer."""
        roots = self._roots
        roots.release(roots.held())

    def _stamps(self) -> AbstractSet[object]:
        try:
            with nix_tree(self.settings, self.world).descriptor(_DIRECTORY) as directory:
                return temporary.stamps(directory)
        except (FileNotFoundError, NotADirectoryError, GuestPathError):
            # No Nix has run there yet; or somebody in the guest has put a link there, and harms his own builds alone.
            return frozenset()

    @property
    def _roots(self) -> HostRoots:
        return HostRoots(self.settings.names.host_roots, self.world).running
