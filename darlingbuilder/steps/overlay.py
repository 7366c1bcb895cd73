"""What an overlay over the host's store needs on the disk: its upper layer, its work directory, a view without it."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.namespaces import Layers
from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Attributes, Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import GUEST_OWN, GUEST_OWN_NIX, STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.profile import nix_tree

_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Overlay:
    """The directories of an overlay; ``withdraw`` leaves of the upper layer what is a store by itself."""

    settings: Settings
    world: World

    def layers(self) -> Layers:
        """Give the layers to mount. Raises PrerequisiteError if there is no service user."""
        host, paths = self.world.host, Paths(self.settings)
        owner = accounts.required(self.world.accounts, self.settings.user).owner
        return Layers(
            host.real(STORE).resolve(), host.real(paths.store), host.real(paths.overlay_work), shown_as=owner
        )

    def check(self) -> list[Drift]:
        """Name what is absent, or not as it has to be."""
        drift = []
        account, upper = self.world.accounts.find(self.settings.user), self._tree.attributes(self._upper)
        if upper is None or upper.kind is not Kind.DIRECTORY or account is None or upper.owner != account.owner:
            drift.append(Drift(str(Paths(self.settings).store), f"is no directory of {self.settings.user}'s"))
        if not _is_private(self._tree.attributes(self._work)):
            drift.append(Drift(str(Paths(self.settings).overlay_work), "is no directory that is root's alone"))
        own = self.world.darling.files().attributes(GUEST_OWN_NIX)
        if own is None or own.kind is not Kind.DIRECTORY:
            drift.append(Drift(f"the guest's {GUEST_OWN_NIX}", "absent"))
        return drift

    def apply(self) -> None:
        """Make the directories; what stands in the place of the work directory goes."""
        owner = accounts.required(self.world.accounts, self.settings.user).owner
        self._tree.make_directory(self._upper, owner=owner)
        if not _is_private(self._tree.attributes(self._work)):
            # The service user could have prepared it, for theirs is the directory that it lies in.
            self._tree.remove(self._work)
            self._tree.make_directory(self._work, mode=_MODE, owner=ROOT)
        self.world.darling.files().make_directory(GUEST_OWN_NIX)

    def leftovers(self) -> list[Drift]:
        """Name what is there although no overlay is wanted."""
        work = Paths(self.settings).overlay_work
        found = [Drift(str(work), "is left of an overlay")] if self._tree.attributes(self._work) else []
        if self.world.darling.files().attributes(GUEST_OWN):
            found.append(Drift(f"the guest's {GUEST_OWN}", "is left of an overlay"))
        return found

    def withdraw(self) -> None:
        """Remove the directories, and the whiteouts: without a lower layer they hide nothing and are in Nix's way."""
        if self._tree.attributes(self._work):
            for name in self._tree.names(self._upper):
                found = self._tree.attributes(self._upper / name)
                if found and found.kind is Kind.OTHER:
                    self._tree.remove(self._upper / name)
            # The last to go: it tells that there was an overlay, should this be interrupted.
            self._tree.remove(self._work)
        for directory in (GUEST_OWN_NIX, GUEST_OWN):
            self.world.darling.files().remove_if_empty(directory)

    @property
    def _tree(self) -> Tree:
        return nix_tree(self.settings, self.world)

    @property
    def _upper(self) -> Path:
        return Path("/") / Paths(self.settings).store.relative_to(Paths(self.settings).nix)

    @property
    def _work(self) -> Path:
        return Path("/") / Paths(self.settings).overlay_work.relative_to(Paths(self.settings).nix)


def _is_private(found: Attributes | None) -> bool:
    return found is not None and (found.kind, found.mode, found.owner) == (Kind.DIRECTORY, _MODE, ROOT)
