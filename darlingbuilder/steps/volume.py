"""A limit for the guest's store: a file system in a file, mounted where the store lies.

While there is an image, it alone holds the store; what lies below the place where it is mounted is left over.
"""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import archive
from darlingbuilder.adapters.world import World
from darlingbuilder.core import size
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import CommandError, ConfigError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings, bytes_of
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import standstill


@dataclass(frozen=True, slots=True)
class Volume:
    """<state>/nix has a file system of ``store_size`` of its own, or none."""

    settings: Settings
    world: World

    def check(self) -> list[Drift]:
        """See Step."""
        found = self.world.host.attributes(self._image)
        for path in (self._unfinished, self._filling, self._growing):
            if self.world.host.attributes(path):
                return [Drift(str(path), "is left over")]
        if not self._wanted:
            return [Drift(str(self._image), "limits the store, and store_size does not")] if found else []
        if found is None:
            return [Drift(str(self._image), f"absent, and store_size is {self.settings.store_size}")]
        if found.size != self._wanted:
            return [Drift(str(self._image), f"has {size.told(found.size)}, should have {size.told(self._wanted)}")]
        mounted = self.world.volumes.is_mounted(self._real(self._place))
        return [] if mounted else [Drift(str(self._place), f"{self._image} is not mounted there")]

    def apply(self) -> None:
        """See Step. Raises ConfigError where there can be no such limit; the store stays as it is then."""
        found = self.world.host.attributes(self._image)
        self._sweep()
        if not self._wanted:
            if found:
                self._lift()
            self.world.host.remove(self._growing)
            return
        if found and found.size > self._wanted:
            raise ConfigError(
                f"store_size: {self._image} has {size.told(found.size)} and cannot become smaller",
                hint="set store_size to 0, then: darlingbuilder init; and once more with the smaller size",
            )
        if found is None:
            self._limit()
        elif found.size < self._wanted or self.world.host.attributes(self._growing):
            self._grow(self._wanted)
        self._mount()

    def ready(self) -> None:
        """Mount the image if there is one, whatever ``store_size`` says by now. Raises BuilderError."""
        found = self.world.host.attributes(self._image)
        if found is None:
            return
        if self.world.host.attributes(self._growing):
            self._grow(found.size)
        self._mount()

    def revert(self) -> None:
        """See Step."""
        host = self.world.host
        if host.attributes(self._image):
            self.world.volumes.unmount(self._real(self._place))
        host.remove(self._image)
        host.remove(self._growing)
        self._sweep()

    @property
    def _wanted(self) -> int:
        return bytes_of(self.settings.store_size)

    @property
    def _image(self) -> Path:
        return Paths(self.settings).image

    @property
    def _place(self) -> Path:
        return Paths(self.settings).nix

    @property
    def _filling(self) -> Path:
        return Paths(self.settings).filling

    @property
    def _unfinished(self) -> Path:
        return Paths(self.settings).unfinished_image

    @property
    def _growing(self) -> Path:
        return Paths(self.settings).growing_image

    def _real(self, path: Path) -> Path:
        return self.world.host.real(path)

    def _limit(self) -> None:
        """Make the image, with what the store holds in it; it counts once it has its name."""
        if self.world.volumes.is_mounted(self._real(self._place)):
            raise ConfigError(
                f"store_size: a file system is mounted at {self._place}, whose own size limits the store",
                hint="unmount that, or leave store_size out",
            )
        self._stop()
        host, volumes = self.world.host, self.world.volumes
        host.make_directory(self._place)
        host.make_directory(self._filling, mode=0o700, owner=ROOT)
        try:
            volumes.make(self._real(self._unfinished), self._wanted)
            volumes.mount(self._real(self._unfinished), self._real(self._filling))
            archive.fill(self._real(self._place), self._real(self._filling))
            volumes.unmount(self._real(self._filling))
            host.rename(self._unfinished, self._image)
        except CommandError as error:
            raise ConfigError(
                f"store_size: what the store holds does not go into {self.settings.store_size}: {error}",
                hint="choose a larger one; or make room first: darlingbuilder reset",
            ) from error
        finally:
            self._sweep()

    def _mount(self) -> None:
        place = self._real(self._place)
        if self.world.volumes.is_mounted(place):
            return
        self._stop()
        self._empty()
        self.world.volumes.mount(self._real(self._image), place)

    def _grow(self, to: int) -> None:
        self._stop()
        self.world.volumes.unmount(self._real(self._place))
        self.world.host.write(self._growing, b"", mode=0o600, owner=ROOT)
        self.world.volumes.grow(self._real(self._image), to)
        self.world.host.remove(self._growing)

    def _lift(self) -> None:
        """Bring what the image holds out of it, and remove it."""
        self._stop()
        self._mount()
        host, place = self.world.host, self._real(self._place)
        host.make_directory(self._filling, mode=0o700, owner=ROOT)
        archive.fill(place, self._real(self._filling))
        self.world.volumes.unmount(place)
        self._empty()
        host.remove(self._place)
        host.rename(self._filling, self._place)
        host.remove(self._image)

    def _stop(self) -> None:
        """Stop a builder that runs: it would go on with what it has open."""
        if self.world.darling.server():
            standstill.make_way(self.settings, self.world)

    def _empty(self) -> None:
        self.world.host.make_directory(self._place)
        for name in self.world.host.names(self._place):
            self.world.host.remove(self._place / name)

    def _sweep(self) -> None:
        self.world.volumes.unmount(self._real(self._filling))
        self.world.host.remove(self._filling)
        self.world.host.remove(self._unfinished)
