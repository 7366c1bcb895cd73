"""The units in front of a builder that starts with the first connection."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.errors import CanceledJobError, SystemdError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.ondemand import OnDemand
from tests.fakes.systemd import FakeSystemd
from tests.fakes.world import fake_world
from tests.names import PROXY, SOCKET, UNIT

_ALL = {SOCKET, UNIT, PROXY}


@dataclass(slots=True)
class WithProxyThatComesBack(FakeSystemd):
    """One in which ``canceled`` stops of the builder come to nothing: the proxy has it started meanwhile."""

    canceled: int = 0
    failing: bool = False
    stopped: list[str] = field(default_factory=list)

    def stop(self, name: str) -> None:
        """See Systemd."""
        self.stopped.append(name)
        if name == UNIT and self.canceled:
            self.canceled -= 1
            raise CanceledJobError(f"stop of {UNIT}: canceled", hint="again")
        if name == UNIT and self.failing:
            raise SystemdError(f"stop of {UNIT}: timeout", hint="see its journal")
        super(WithProxyThatComesBack, self).stop(name)


def closing(place: Path, canceled: int) -> tuple[OnDemand, WithProxyThatComesBack]:
    world = fake_world(place)
    systemd = WithProxyThatComesBack(world.host, packaged=set(_ALL), canceled=canceled)
    for unit in _ALL:
        systemd.start(unit)
    return OnDemand(Settings(on_demand=True), replace(world, systemd=systemd)), systemd


@pytest.mark.parametrize("canceled", [0, 1])
def test_it_is_closed_even_where_the_proxy_comes_back_meanwhile_and_the_proxy_goes_last(
    tmp_path: Path, canceled: int
) -> None:
    door, systemd = closing(tmp_path, canceled)

    door.close()

    assert {systemd.unit(unit).activity for unit in _ALL} == {Activity.INACTIVE}
    assert (systemd.stopped[0], systemd.stopped[-1]) == (SOCKET, PROXY)


def test_a_stop_that_is_canceled_again_is_an_error(tmp_path: Path) -> None:
    door, _ = closing(tmp_path, 2)

    with pytest.raises(SystemdError, match="canceled"):
        door.close()


def test_a_stop_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    door, systemd = closing(tmp_path, 0)
    systemd.failing = True

    with pytest.raises(SystemdError, match="timeout"):
        door.close()

    assert systemd.stopped == [SOCKET, UNIT]
