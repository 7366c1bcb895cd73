"""The guest's /nix: a directory beside the prefix, bound into the running container."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import GuestPathError
from darlingbuilder.core.paths import GUEST_NIX, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Kind


@dataclass(frozen=True, slots=True)
class Store:
    """<state>/nix is what the guest sees as /nix whenever the container runs."""

    settings: Settings
    world: World
    name: ClassVar[str] = "store"

    def check(self) -> list[Drift]:
        """See Step."""
        files = self.world.darling.files()
        found = files.attributes(GUEST_NIX)
        if found is None:
            return [Drift("the guest's /nix", "absent")]
        if found.kind is Kind.LINK:
            target = files.link(GUEST_NIX)
            return [
                Drift(
                    "the guest's /nix",
                    f"is a link to {target}, as the old NixOS module made it; Nix refuses it or deadlocks",
                )
            ]
        if found.kind is not Kind.DIRECTORY:
            return [Drift("the guest's /nix", "is no directory")]
        if self.world.darling.server() and not self.world.darling.is_mounted(GUEST_NIX):
            return [Drift("the guest's /nix", f"{Paths(self.settings).nix} is not mounted there")]
        return []

    def apply(self) -> None:
        """See Step."""
        files = self.world.darling.files()
        found = files.attributes(GUEST_NIX)
        if found and found.kind is not Kind.DIRECTORY:
            if found.kind is not Kind.LINK:
                raise GuestPathError("the guest's /nix is neither a directory nor a link", hint="move it away")
            files.remove(GUEST_NIX)
        account = self.world.accounts.find(self.settings.user)
        files.make_directory(GUEST_NIX, owner=account.owner if account else None)
        if self.world.darling.server():
            self.mount()

    def mount(self) -> None:
        """Bind <state>/nix on the guest's /nix, once; the container must be up."""
        if not self.world.darling.is_mounted(GUEST_NIX):
            self.world.darling.mount(self.world.host.real(Paths(self.settings).nix), GUEST_NIX)

    def revert(self) -> None:
        """See Step. The mount ends with the container, which therefore has to be down."""
        if self.world.darling.server() is None:
            self.world.darling.files().remove_if_empty(GUEST_NIX)
