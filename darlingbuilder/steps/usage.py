"""How much room the guest's store takes, how much of it is the host's, and how much is left."""

import os
from pathlib import Path

import msgspec

from darlingbuilder.adapters import storesizes
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.world import World
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Kind
from darlingbuilder.steps.profile import nix_tree

_DATABASE = Path("/") / DATABASE.relative_to("nix")
_STORE = Path("/store")
# Ten million paths; a guest that has made it larger is not worth our memory.
_LARGEST = 4 * 2**30


class Usage(msgspec.Struct, frozen=True):
    """Bytes of the guest's store.

    ``own``: of the valid paths that lie in it, as archives; ``shared``: of those that its Nix knows and that lie in
    the host's alone; ``free``: what its file system has left for the guest.
    """

    own: int
    shared: int
    free: int


def usage(settings: Settings, world: World) -> Usage | None:
    """Measure the store; None if there is none. Asks nobody, and takes a fraction of a second for 50 000 paths."""
    tree, real = nix_tree(settings, world), world.host.real(Paths(settings).nix)
    found = tree.attributes(_DATABASE)
    if found is None or found.kind is not Kind.FILE or found.size > _LARGEST:
        return None
    here, own, known = set(tree.names(_STORE)), 0, 0
    for path, size in storesizes.nar_sizes(tree.read(_DATABASE) or b""):
        known += size
        own += size if path.rpartition("/")[2] in here else 0
    space = os.statvfs(real)
    # What is valid and not there is the host's; where nothing is shared, somebody has deleted it.
    return Usage(own, known - own if settings.shares_store else 0, space.f_bavail * space.f_frsize)
