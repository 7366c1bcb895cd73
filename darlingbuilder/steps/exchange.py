"""Prefix and store replaced as a whole: what is to be done is written down first, and done by whoever comes.

Until it is written down, all is as before; from then on, all is as it will be, but for renames and removals that can
be made again and again. «init» finishes what was interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.volume import Volume

# A file system of its own has it at its top.
_NOT_OURS = frozenset({"lost+found"})
_STAGED, _DISCARDED = ".darlingbuilder-new", ".darlingbuilder-old"


class _Intent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What takes which place, and what goes."""

    moves: dict[str, str]
    removals: list[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange of what is in the places of prefix and store. The builder has to be down.

    A store that has a file system of its own is mounted first: after a reboot its place is empty, not the store.
    """

    settings: Settings
    world: World

    def check(self) -> list[Drift]:
        """Say whether one was interrupted, before or after it had begun to count."""
        if self.world.host.attributes(self._paths.exchange):
            return [Drift(str(self._paths.exchange), "an exchange of prefix or store was interrupted")]
        return [Drift(str(path), "is left over") for path in self._leftovers()]

    def begin(self, moves: Mapping[Path, Path], removals: Sequence[Path]) -> None:
        """Put each of ``moves``, staged → place, into its place, remove what was there, and ``removals``."""
        self._volume.ready()
        intent = _Intent(
            moves={str(ready): str(place) for ready, place in moves.items()}, removals=list(map(str, removals))
        )
        self.world.host.write(self._paths.exchange, msgspec.json.encode(intent), mode=0o600, owner=ROOT)
        self.finish()

    def finish(self) -> None:
        """Do what is left to do of an exchange that has begun; sweep away what one that has not has staged."""
        self._volume.ready()
        content = self.world.host.read(self._paths.exchange)
        if content is not None:
            intent = self._decoded(content)
            for ready, place in intent.moves.items():
                self._move(Path(ready), Path(place))
            for removal in intent.removals:
                self.world.host.remove(Path(removal))
        for path in self._leftovers():
            self.world.host.remove(path)
        self.world.host.remove(self._paths.exchange)

    def store_entries(self) -> list[Path]:
        """List what lies in the guest's /nix. As a file system of its own it can be emptied, not replaced."""
        self._volume.ready()
        return [
            self._paths.nix / name
            for name in self.world.host.names(self._paths.nix)
            if name not in _NOT_OURS and not _is_ours(name)
        ]

    def room_for(self, place: Path) -> Path:
        """Name where that is made ready which is to take ``place``: absent, and on the same file system.

        That is a directory which root alone can enter, unless another disk is mounted at the place.
        """
        host, room = self.world.host, self._paths.staging
        host.make_directory(room, mode=0o700, owner=ROOT)
        same = host.real(room).stat().st_dev == host.real(place.parent).stat().st_dev
        return room / f"{place.parent.name}-{place.name}" if same else _staged(place)

    @property
    def _paths(self) -> Paths:
        return Paths(self.settings)

    @property
    def _volume(self) -> Volume:
        return Volume(self.settings, self.world)

    def _move(self, ready: Path, place: Path) -> None:
        if self.world.host.attributes(ready) is None:
            return  # it is in its place already
        if self.world.host.attributes(place):
            self.world.host.remove(_discarded(place))
            self.world.host.rename(place, _discarded(place))
        self.world.host.rename(ready, place)

    def _leftovers(self) -> list[Path]:
        prefix, nix = self._paths.prefix, self._paths.nix
        inside = [nix / name for name in self.world.host.names(nix) if _is_ours(name)]
        beside = [
            path
            for path in (_staged(prefix), _discarded(prefix), self._paths.staging)
            if self.world.host.attributes(path)
        ]
        # The directory that there always is goes last: it tells of the others while the store is not mounted.
        return [*inside, *beside]

    def _decoded(self, content: bytes) -> _Intent:
        try:
            return msgspec.json.decode(content, type=_Intent)
        except msgspec.DecodeError as error:
            raise ForeignFileError(
                f"{self._paths.exchange} is not a note of darlingbuilder: {error}",
                hint="move it away, then try again",
            ) from error


def _staged(place: Path) -> Path:
    """Name where that is made ready which is to take ``place``: on the same file system, whatever is mounted."""
    return place.with_name(f".{place.name}{_STAGED}")


def _discarded(place: Path) -> Path:
    """Name where that goes which was in ``place``."""
    return place.with_name(f".{place.name}{_DISCARDED}")


def _is_ours(name: str) -> bool:
    return name.endswith((_STAGED, _DISCARDED))
