"""The guest's /nix in each of its modes: a directory beside the prefix, that over the host's store, or a link."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ConfigError, DarlingError, GuestPathError
from darlingbuilder.core.note import Note
from darlingbuilder.core.paths import GUEST_NIX, STORE, SYSTEM_ROOT
from darlingbuilder.core.plain import plain
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import deadlock, standstill
from darlingbuilder.steps.mounted import Mounted
from darlingbuilder.steps.overlay import Overlay
from darlingbuilder.steps.sharing import parting
from darlingbuilder.steps.sharing.roots import HostRoots

_WHAT = f"the guest's {GUEST_NIX}"
_LINK = str(SYSTEM_ROOT / STORE.parent.relative_to("/"))
_BUILDS_OFF = (
    'store = "symlink": the guest runs programs of the host\'s store, and has no Nix of its own, so that nothing is '
    "built or registered"
)
_BUILDS_ON = 'for builds set «store» to "overlay" or "copy", then: darlingbuilder init'


@dataclass(frozen=True, slots=True)
class Store:
    """<state>/nix is what the guest sees as /nix whenever the container runs.

    With ``store = "overlay"`` the host's store lies under the guest's. With ``"symlink"`` /nix is the host's.
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "store"

    def check(self) -> list[Drift]:
        """See Step."""
        return [*self._check_place(), *self._check_sharing(), *Mounted(self.settings, self.world).check()]

    def apply(self) -> None:
        """See Step. What has to be mounted otherwise is so after the next start, which proves it, too."""
        overlay = Overlay(self.settings, self.world)
        if self._needs_a_start():
            standstill.make_way(self.settings, self.world)
        if self.settings.store == "symlink":
            self._link()
        else:
            self._make_directory()
        if self.settings.shares_store:
            overlay.apply()
        else:
            parting.part(self.settings, self.world)
            overlay.withdraw()
        if self.world.darling.server():
            self.mount()

    def mount(self) -> None:
        """Mount what the guest's /nix consists of, once; the container must be up."""
        Mounted(self.settings, self.world).mount()

    def revert(self) -> None:
        """See Step. The mounts end with the container, which therefore has to be down."""
        if server := self.world.darling.server():
            raise DarlingError(
                f"the container (pid {server}) is up, and what is mounted in it cannot be withdrawn",
                hint="end whoever has booted it, «darlingbuilder serve» say",
            )
        files = self.world.darling.files()
        if files.link(GUEST_NIX) == _LINK:
            files.remove(GUEST_NIX)
        files.remove_if_empty(GUEST_NIX)
        Overlay(self.settings, self.world).withdraw()
        HostRoots(self.settings.names.host_roots, self.world).remove()
        deadlock.sweep(self.settings, self.world)

    def _check_place(self) -> list[Drift]:
        files = self.world.darling.files()
        found = files.attributes(GUEST_NIX)
        if found is None:
            return [Drift(_WHAT, "absent")]
        target = files.link(GUEST_NIX)
        if self.settings.store == "symlink":
            return [] if target == _LINK else [Drift(_WHAT, f"is no link to {_LINK}")]
        if target:
            return [
                Drift(
                    _WHAT,
                    f"is a link to {plain(target)}, as the old NixOS module made it; Nix refuses it or deadlocks",
                )
            ]
        return [] if found.kind is Kind.DIRECTORY else [Drift(_WHAT, "is no directory")]

    def _check_sharing(self) -> list[Drift]:
        overlay = Overlay(self.settings, self.world)
        if self.settings.shares_store:
            return overlay.check()
        return overlay.leftovers() + parting.leftovers(self.settings, self.world)

    def _make_directory(self) -> None:
        files = self.world.darling.files()
        found = files.attributes(GUEST_NIX)
        if found and found.kind is not Kind.DIRECTORY:
            if found.kind is not Kind.LINK:
                raise GuestPathError(f"{_WHAT} is neither a directory nor a link", hint="move it away")
            files.remove(GUEST_NIX)
        account = self.world.accounts.find(self.settings.user)
        files.make_directory(GUEST_NIX, owner=account.owner if account else None)

    def _link(self) -> None:
        files = self.world.darling.files()
        if files.link(GUEST_NIX) == _LINK:
            return
        files.remove_if_empty(GUEST_NIX)
        found = files.attributes(GUEST_NIX)
        if found and found.kind is not Kind.LINK:
            raise GuestPathError(f"{_WHAT} holds files of somebody else's", hint="move them away")
        account = self.world.accounts.find(self.settings.user)
        files.write_link(GUEST_NIX, _LINK, owner=account.owner if account else None)

    def _needs_a_start(self) -> bool:
        """Whether the container runs with the store of another mode, or without its overlay."""
        if self.world.darling.server() is None:
            return False
        mounted = Mounted(self.settings, self.world)
        lost = self.settings.shares_store and any(mounted.missing())
        return lost or bool(self._check_place()) or any(mounted.leftovers())


def require_builds(settings: Settings, *, purpose: str) -> None:
    """Raise ConfigError where the guest has no Nix and no store of its own; ``purpose``: what is in vain then."""
    if not settings.guest_nix:
        raise ConfigError(f"there is nothing to {purpose}: {_BUILDS_OFF}", hint=_BUILDS_ON)


def notes(settings: Settings) -> list[Note]:
    """Say that builds are off, where they are."""
    return [] if settings.guest_nix else [Note("builds", _BUILDS_OFF, hint=_BUILDS_ON)]
