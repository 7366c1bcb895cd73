"""The running service, no older than what it was started with."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.systemd import Activity, UnitState
from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.paths import GUEST_PROFILE, HOST_KEY, SHIM, SSHD_CONFIG
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import standstill
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.ondemand import OnDemand
from darlingbuilder.steps.profile import DEFAULT, nix_tree

_NANOSECONDS = 1e9
# What systemd calls the pause before a service that has failed is started again.
_BACK_FROM_FAILURE = "auto-restart"


@dataclass(frozen=True, slots=True)
class Service:
    """darling-builder.service runs, and was started after its files were written.

    With ``on_demand`` it may be down, as long as a connection starts it.
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "service"

    def check(self) -> list[Drift]:
        """See Step."""
        state = self.world.systemd.unit(self.settings.names.unit)
        if state.activity is Activity.ACTIVE:
            return [*self._check_door(), *self._older_than_files(state)]
        if self.settings.on_demand and _is_quiet(state):
            return self._check_door()
        return [*self._check_door(), Drift(self.settings.names.unit, f"is {state.activity.value} ({state.sub})")]

    def apply(self) -> None:
        """See Step."""
        Breaker(self.settings, self.world).forget()
        if self._check_door():
            # Its builds come through the proxy, or it has the port that the socket is to have.
            self._door.close()
        if self.settings.on_demand:
            self._apply_on_demand()
            return
        self.world.systemd.reset_failed(self.settings.names.unit)
        self.world.systemd.restart(self.settings.names.unit)

    def revert(self) -> None:
        """See Step. A «serve» in the foreground has the container up without the unit."""
        standstill.bring_down(self.settings, self.world)

    @property
    def _door(self) -> OnDemand:
        return OnDemand(self.settings, self.world)

    def _check_door(self) -> list[Drift]:
        if self.settings.on_demand:
            return self._door.check()
        doors = (self.settings.names.socket, self.settings.names.proxy)
        left = [unit for unit in doors if self.world.systemd.unit(unit).activity is Activity.ACTIVE]
        return [Drift(unit, "is active, and on_demand is false") for unit in left]

    def _apply_on_demand(self) -> None:
        state = self.world.systemd.unit(self.settings.names.unit)
        if state.activity is Activity.ACTIVE:
            self._door.rest()
        if self._check_door():
            self._door.reopen()
        if not _is_quiet(state) and state.activity is not Activity.ACTIVE:
            # It has failed: it is to show that it starts, before a build has to.
            self.world.systemd.reset_failed(self.settings.names.unit)
            self._door.wake()

    def _older_than_files(self, state: UnitState) -> list[Drift]:
        guest = self.world.darling.files()
        read_at_start: dict[str, Attributes | None] = {
            str(self.settings.names.unit_file): self.world.host.attributes(self.settings.names.unit_file),
            str(SSHD_CONFIG): guest.attributes(SSHD_CONFIG),
            str(SHIM): guest.attributes(SHIM),
            str(HOST_KEY): guest.attributes(HOST_KEY),
            # A start is what tries a new Nix.
            str(GUEST_PROFILE): nix_tree(self.settings, self.world).attributes(DEFAULT),
        }
        return [
            Drift(self.settings.names.unit, f"runs with an older {path}")
            for path, found in read_at_start.items()
            if found and found.mtime_ns / _NANOSECONDS > state.since
        ]


def _is_quiet(state: UnitState) -> bool:
    """Whether a builder on demand is down, or on its way up or down, without having failed."""
    on_its_way = state.activity in {Activity.ACTIVATING, Activity.DEACTIVATING} and state.sub != _BACK_FROM_FAILURE
    return on_its_way or state.activity is Activity.INACTIVE
