"""What is mounted in the running container for its store, and what should be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import GUEST_NIX, GUEST_OWN_NIX, STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.overlay import Overlay

# In the order in which they are mounted.
_WANTED = {"copy": (GUEST_NIX,), "overlay": (GUEST_NIX, GUEST_OWN_NIX, STORE), "symlink": ()}
_ALL = _WANTED["overlay"]


@dataclass(frozen=True, slots=True)
class Mounted:
    """The mounts of the mode that the settings say; all of them vanish with the container."""

    settings: Settings
    world: World

    def check(self) -> list[Drift]:
        """Name what is missing and what is too much; nothing while the container is down."""
        return [*self.missing(), *self.leftovers()] if self.world.darling.server() else []

    def missing(self) -> Iterator[Drift]:
        """Name what should be mounted and is not."""
        for target in self._wanted:
            if not self.world.darling.is_mounted(target):
                yield Drift(f"the guest's {target}", f"{self._source(target)} is not mounted there")

    def leftovers(self) -> Iterator[Drift]:
        """Name what is mounted and should not be."""
        for target in _ALL:
            if target not in self._wanted and self.world.darling.is_mounted(target):
                yield Drift(f"the guest's {target}", f"{self._source(target)} is still mounted there")

    def mount(self) -> None:
        """Mount what is missing; the container must be up. Raises DarlingError."""
        for target in self._wanted:
            if self.world.darling.is_mounted(target):
                continue
            if target == STORE:
                self.world.darling.mount_overlay(Overlay(self.settings, self.world).layers(), target)
            else:
                self.world.darling.mount(self.world.host.real(Paths(self.settings).nix), target)

    @property
    def _wanted(self) -> tuple[Path, ...]:
        return _WANTED[self.settings.store]

    def _source(self, target: Path) -> str:
        return "an overlay over the host's store" if target == STORE else str(Paths(self.settings).nix)
