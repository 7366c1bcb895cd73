"""The compat shim in the guest: the library that corrects what a stock Darling gets wrong for sshd and Nix."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import shim
from darlingbuilder.core.drift import Drift
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
        files = self.world.darling.files()
        found = files.attributes(SHIM)
        if self.settings.compat == "never":
            return [Drift(str(SHIM), "is not wanted: compat is never")] if found else []
        if found is None:
            return [Drift(str(SHIM), "absent")]
        if files.read(SHIM) != shim.dylib().read_bytes():
            return [Drift(str(SHIM), "is another one than this darlingbuilder's")]
        wrong = found.mode != _MODE or found.owner != ROOT
        return [Drift(str(SHIM), "is not root's, readable by all and writable by nobody else")] if wrong else []

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError if the shim was not built into this package."""
        files = self.world.darling.files()
        if not self.check():
            return
        if self.settings.compat == "never":
            files.remove(SHIM)
        else:
            files.write(SHIM, shim.dylib().read_bytes(), mode=_MODE, owner=ROOT)

    def revert(self) -> None:
        """See Step."""
        self.world.darling.files().remove(SHIM)
