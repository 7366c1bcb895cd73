"""What a store that was shared has left behind where it is shared no more: noticed, and taken back."""

from pathlib import Path

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.profile import nix_tree
from darlingbuilder.steps.sharing.guest import GuestStore, Withdrawn
from darlingbuilder.steps.sharing.roots import HostRoots

# As many as are registered in that time.
_SECONDS = 600


def leftovers(settings: Settings, world: World) -> list[Drift]:
    """Say whether the guest's Nix may still take the host's paths for its own: while they have roots, or had some."""
    roots = settings.names.host_roots
    return [Drift(str(roots), "is left of a shared store")] if world.host.attributes(roots) else []


def part(settings: Settings, world: World) -> None:
    """Take back what the guest's Nix was told, and the roots at last; no overlay is mounted. Raises NixError."""
    if not leftovers(settings, world):
        return
    if nix_tree(settings, world).attributes(Path("/") / DATABASE.relative_to("nix")):
        account = accounts.required(world.accounts, settings.user)
        store = GuestStore(world.host.real(Paths(settings).state), world.nix)
        world.accounts.perform(account, lambda: store.withdraw(None, frozenset()), Withdrawn, seconds=_SECONDS)
    HostRoots(settings.names.host_roots, world).remove()
