"""The compat shim in the guest: the library that corrects what a stock Darling gets wrong for sshd and Nix."""

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import shim
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import GuestPathError, PrerequisiteError
from darlingbuilder.core.paths import SHIM
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT

_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Compat:
    """The shim lies in the prefix, independent of where Python keeps this package; none with ``compat = never``.

    Which of its corrections are in force is found out at each start (steps.corrections).
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "compat"

    def check(self) -> list[Drift]:
        """See Step."""
        try:
            detail = self._difference()
        except (GuestPathError, PrerequisiteError) as error:
            detail = str(error)
        return [Drift(str(SHIM), detail)] if detail else []

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError if the shim was not built into this package."""
        files = self.world.darling.files()
        if not self._difference():
            return
        if self._is_wanted:
            files.write(SHIM, shim.dylib().read_bytes(), mode=_MODE, owner=ROOT)
        else:
            files.remove(SHIM)

    def revert(self) -> None:
        """See Step."""
        # Where a link has been put in the directory's place, nothing of ours is left; the prefix goes as a whole.
        with contextlib.suppress(GuestPathError):
            files = self.world.darling.files()
            files.remove(SHIM)
            files.remove_if_empty(SHIM.parent)

    @property
    def _is_wanted(self) -> bool:
        return self.settings.compat != "never"

    def _difference(self) -> str:
        """Say how the shim in the guest differs from what should be there; nothing if it does not."""
        files = self.world.darling.files()
        found = files.attributes(SHIM)
        if not self._is_wanted:
            return "is not wanted: compat is never" if found else ""
        if found is None:
            return "absent"
        if files.read(SHIM) != shim.dylib().read_bytes():
            return "is another one than this darlingbuilder's"
        if (found.mode, found.owner) != (_MODE, ROOT):
            return "is not root's, readable by all and writable by nobody else"
        return ""
