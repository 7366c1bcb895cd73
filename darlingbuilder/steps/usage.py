"""How much room the guest's store takes, how much of it is the host's, and how much is left."""

from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from darlingbuilder.adapters import guestdb, volumes
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import name_of
from darlingbuilder.steps.profile import nix_tree
from darlingbuilder.steps.sharing.hostpaths import HostPaths

_DATABASE = Path("/") / DATABASE.relative_to("nix")
_STORE = Path("/store")


class Usage(msgspec.Struct, frozen=True):
    """Bytes of the guest's store.

    ``own``: of the valid paths that lie in it, as archives; ``shared``: of those that lie in the host's alone, and
    that the guest has from there; ``free``: what its file system has left for the guest.
    """

    own: int
    shared: int
    free: int


def usage(settings: Settings, world: World) -> Usage | None:
    """Measure the store; None if there is none. Asks nobody, and takes a fraction of a second for 50 000 paths.

    Raises NixError if the host's database, of a store that is shared, cannot be read, or the guest's gives no answer.
    """
    tree, real = nix_tree(settings, world), world.host.real(Paths(settings).nix)
    found, account = tree.attributes(_DATABASE), world.accounts.find(settings.user)
    if found is None or found.kind is not Kind.FILE or account is None:
        return None
    here, file = set(tree.names(_STORE)), world.host.real(Paths(settings).state) / DATABASE
    own = world.accounts.perform(account, lambda: guestdb.nar_size(file, here), int, seconds=guestdb.SECONDS)
    shared = _shared(world, here) if settings.shares_store else 0
    return Usage(own, shared, volumes.free(real))


def _shared(world: World, own: AbstractSet[str]) -> int:
    """Count what lies below the names that are the guest's ``own``; it need not have been told of all of it yet."""
    hosts = HostPaths(world.host.real(Path("/") / DATABASE))
    return sum(size for path, size in hosts.sizes().items() if name_of(path) not in own)
