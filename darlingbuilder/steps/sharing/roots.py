"""Roots among the host's, for what the guest's own paths need of the host's store."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core.storepath import is_store_path, name_of
from darlingbuilder.steps.sharing.hostpaths import HostPaths, is_sharable

_AT_ONCE = 1000
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class HostRoots:
    """``place``: a directory of links among the host's gc roots; the host's Nix deletes nothing that they lead to."""

    place: Path
    world: World

    @property
    def running(self) -> "HostRoots":
        """Those for what running builds use, apart from the others, for they come and go."""
        return HostRoots(self.place / _RUNNING, self.world)

    def held(self) -> set[str]:
        """List the store paths that are kept."""
        tree = self.world.host
        return {target for name in tree.names(self.place) if (target := tree.link(self.place / name))}

    def hold(self, paths: AbstractSet[str], hosts: HostPaths) -> set[str]:
        """Keep ``paths`` on the host, and give those that it still holds valid: the others went before.

        A collection that runs has read its roots already; only Nix can tell it of new ones. Raises NixError.
        """
        # The guest's user may have made them up. A derivation would be built: the host's Nix is told by realising.
        valid = hosts.still(frozenset(path for path in paths if is_store_path(path) and is_sharable(path)))
        new = sorted(path for path in valid if self.world.host.link(self._link(path)) != path)
        for path in new:
            self.world.host.write_link(self._link(path), path)
        for start in range(0, len(new), _AT_ONCE):
            self.world.nix.guard(new[start : start + _AT_ONCE])
        kept = hosts.still(valid) if new else valid
        self.release(valid - kept)
        return kept

    def release(self, paths: AbstractSet[str]) -> None:
        """Keep ``paths`` no longer. Succeeds if they are not kept."""
        for path in paths:
            self.world.host.remove(self._link(path))

    def remove(self) -> None:
        """Keep nothing any longer, and leave nothing behind."""
        for roots in (self.running, self):
            roots.release(roots.held())
            self.world.host.remove_if_empty(roots.place)

    def _link(self, path: str) -> Path:
        return self.place / name_of(path)
