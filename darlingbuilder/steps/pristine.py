"""The guest's Nix as it came from outside, kept by root where no guest reaches it: an emptied store gets it back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import compatibility
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT

_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Brought:
    """The store paths of the guest's Nix and of its cacert; the latter is empty if it has none."""

    nix: str
    cacert: str


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What lies in the store beside it, and which settings it was brought for."""

    source: str
    nix: str
    cacert: str


@dataclass(frozen=True, slots=True)
class Pristine:
    """A store of root's own in <state>/pristine; its record is written last, and makes it count."""

    settings: Settings
    world: World

    @property
    def root(self) -> Path:
        """The directory whose nix/store holds it."""
        return self.world.host.real(self._path)

    def check(self) -> list[Drift]:
        """Say whether it is there if it is wanted, and only then."""
        if self.settings.ephemeral:
            return (
                [] if self.kept() else [Drift(str(self._path), "does not hold the Nix that every start begins with")]
            )
        return [Drift(str(self._path), "is left over")] if self.world.host.attributes(self._path) else []

    def kept(self) -> Brought | None:
        """Give what is kept; None if it is not what the settings ask for, or not whole."""
        try:
            record = msgspec.json.decode(self.world.host.read(self._record) or b"", type=_Record)
        except msgspec.DecodeError:
            return None
        return Brought(record.nix, record.cacert) if record.source == self._source else None

    def fill(self, bring: Callable[[Path], Brought]) -> None:
        """Keep what ``bring`` puts into the store below a root, unless that is kept already."""
        if self.kept():
            return
        self.remove()
        self.world.host.make_directory(self._path, mode=_MODE, owner=ROOT)
        brought = bring(self.root)
        record = _Record(source=self._source, nix=brought.nix, cacert=brought.cacert)
        self.world.host.write(self._record, msgspec.json.encode(record), mode=0o600, owner=ROOT)

    def remove(self) -> None:
        """Remove it. Succeeds if it is already gone."""
        # The record first: what is half removed must not count.
        self.world.host.remove(self._record)
        self.world.host.remove(self._path)

    @property
    def _path(self) -> Path:
        return Paths(self.settings).pristine

    @property
    def _record(self) -> Path:
        return self._path / "record.json"

    @property
    def _source(self) -> str:
        """What of the settings says which Nix it is."""
        nix = self.settings.nix
        chosen = nix.sha256 if nix.tarball else nix.package or compatibility.nix_path(nix.version)
        return f"{chosen} {nix.cacert}"
