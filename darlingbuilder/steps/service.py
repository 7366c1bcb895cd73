"""The running service, no older than what it was started with."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.systemd import Activity, UnitState
from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import GUEST_PROFILE, HOST_KEY, SHIM, SSHD_CONFIG, UNIT, UNIT_FILE
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Attributes
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.profile import DEFAULT, nix_tree

_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Service:
    """darling-builder.service runs, and was started after its files were written."""

    settings: Settings
    world: World
    name: ClassVar[str] = "service"

    def check(self) -> list[Drift]:
        """See Step."""
        state = self.world.systemd.unit(UNIT)
        if state.activity is not Activity.ACTIVE:
            return [Drift(UNIT, f"is {state.activity.value} ({state.sub})")]
        return self._older_than_files(state)

    def apply(self) -> None:
        """See Step."""
        Breaker(self.settings, self.world).forget()
        self.world.systemd.reset_failed(UNIT)
        self.world.systemd.restart(UNIT)

    def revert(self) -> None:
        """See Step."""
        self.world.systemd.stop(UNIT)

    def _older_than_files(self, state: UnitState) -> list[Drift]:
        guest = self.world.darling.files()
        read_at_start: dict[str, Attributes | None] = {
            str(UNIT_FILE): self.world.host.attributes(UNIT_FILE),
            str(SSHD_CONFIG): guest.attributes(SSHD_CONFIG),
            str(SHIM): guest.attributes(SHIM),
            str(HOST_KEY): guest.attributes(HOST_KEY),
            # A start is what tries a new Nix.
            str(GUEST_PROFILE): nix_tree(self.settings, self.world).attributes(DEFAULT),
        }
        return [
            Drift(UNIT, f"runs with an older {path}")
            for path, found in read_at_start.items()
            if found and found.mtime_ns / _NANOSECONDS > state.since
        ]
