"""The builder's line for Nix: what it says, and in which file it lies."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core import failures, machines, managed
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import Paths, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.keyring import Keyring


@dataclass(frozen=True, slots=True)
class MachinesLine:
    """The line that offers the builder to Nix, pinned to the guest's host keys.

    It lies in a file that our registration includes, or with ``register = false`` in one below ``state``, for the
    system's own configuration to include (NixOS), which cannot know the host key. A guest without a Nix is offered
    to nobody. While the builder is out of service, the line says so in its place (see Breaker).
    """

    settings: Settings
    world: World

    @property
    def path(self) -> Path | None:
        """The file that the line belongs in, if any."""
        if not self.settings.guest_nix:
            return None
        return self.settings.names.machines if self.settings.register else Paths(self.settings).machines

    def check(self) -> list[Drift]:
        """List what is wrong with the line, and where it should not be."""
        drift = [Drift(str(path), unwanted(self.settings)) for path in self._others if self._is_ours(path)]
        if self._is_leftover:
            drift.append(Drift(str(self._record), "is of a breaker, and breaker is false"))
        if self.path is None:
            return drift
        file = self._file(self.path)
        if file is None:
            return [*drift, Drift(str(self.path), "cannot be written: the guest's host key is absent")]
        return [*drift, *managed.check([file])]

    def write(self) -> None:
        """Put the line where it belongs, and nowhere else. Raises KeyFileError without the guest's host key."""
        managed.withdraw(self.world.host, [path for path in self._others if self._is_ours(path)])
        if self._is_leftover:
            self.world.host.remove(self._record)
        if self.path is None:
            return
        file = self._file(self.path)
        if file is None:
            raise KeyFileError(
                f"{public_half(Paths(self.settings).host_key)} is absent, so the builder cannot be pinned to it",
                hint="make the keys: darlingbuilder init",
            )
        managed.converge([file])

    def withdraw(self) -> None:
        """Offer the builder to nobody."""
        managed.withdraw(self.world.host, self._places)
        self.world.host.remove(self._record)

    @property
    def _places(self) -> tuple[Path, Path]:
        return (self.settings.names.machines, Paths(self.settings).machines)

    @property
    def _others(self) -> list[Path]:
        return [path for path in self._places if path != self.path]

    @property
    def _record(self) -> Path:
        return Paths(self.settings).failures

    @property
    def _is_leftover(self) -> bool:
        record = None if self.settings.breaker else failures.read(self.settings, self.world.host)
        return record is not None and record.since is not None

    def _is_ours(self, path: Path) -> bool:
        return managed.is_ours(self.world.host.read(path))

    def _file(self, path: Path) -> ManagedFile | None:
        pinned = Keyring(self.settings, self.world.host).pinned_lines()
        if not pinned:
            return None
        outage = failures.outage(self.settings, self.world.host)
        machine = machines.out_of_service(self.settings) if outage else machines.ours(self.settings, *pinned)
        return ManagedFile(self.world.host, path, f"{machine.line}\n")


def unwanted(settings: Settings) -> str:
    """Say why a file is not wanted with these settings that would be with others."""
    if not settings.guest_nix:
        return "is not wanted: without a Nix the guest builds nothing"
    return f"is not wanted: register is {str(settings.register).lower()}"
