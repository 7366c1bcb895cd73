"""The port, on the real machine: free, somebody else's, or the builder's own."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.adapters.systemd import UnitState
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites.finding import Level
from darlingbuilder.steps.prerequisites.port import on_demand, port
from tests.fakes.darling import FakeDarling
from tests.fakes.systemd import FakeSystemd
from tests.names import PROXY, PROXY_FILE
from tests.steps.prerequisites.machine import fit, free_port, listening


@dataclass(slots=True)
class DarlingWithThisProcess(FakeDarling):
    """One in whose container the test itself runs."""

    def processes(self) -> list[Process]:
        """See Darling."""
        return [found for found in [procfs.process(os.getpid())] if found]


def test_a_free_port_is_right(tmp_path: Path) -> None:
    assert port(fit(tmp_path, Settings(port=free_port()))).level is Level.OK


def test_a_port_that_somebody_else_holds_is_named_with_its_holder(tmp_path: Path) -> None:
    with listening() as taken:
        verdict = port(fit(tmp_path, Settings(port=taken)))

    assert verdict.level is Level.FAILURE
    assert f"(pid {os.getpid()})" in verdict.detail


def test_a_port_that_the_builder_holds_is_right(tmp_path: Path) -> None:
    with listening() as taken:
        surroundings = fit(tmp_path, Settings(port=taken))
        darling = DarlingWithThisProcess(tmp_path / "prefix", "darlingbuilder", surroundings.world.accounts)

        verdict = port(replace(surroundings, world=replace(surroundings.world, darling=darling)))

    assert verdict.level is Level.OK
    assert "the builder's own" in verdict.detail


def test_a_port_that_the_socket_of_a_builder_on_demand_holds_is_right_whatever_is_wanted_now(tmp_path: Path) -> None:
    with listening() as taken:
        surroundings = fit(tmp_path, Settings(port=taken))
        proxy = surroundings.world.systemd
        assert isinstance(proxy, FakeSystemd)
        surroundings.world.host.write(PROXY_FILE, b"[Service]\n")
        proxy.start(PROXY)
        assert port(surroundings).level is Level.FAILURE
        proxy.adopt(PROXY, os.getpid())
        verdict = port(surroundings)

    assert verdict.level is Level.OK
    assert "darling-builder.socket" in verdict.detail


def test_on_demand_needs_systemd_s_proxy_and_a_second_port(tmp_path: Path) -> None:
    with listening() as taken:
        surroundings = fit(tmp_path, Settings(on_demand=True, port=free_port(), private_port=taken))
        missing = on_demand(surroundings)
        surroundings.world.host.write(Path("/usr/lib/systemd/systemd-socket-proxyd"), b"")
        held = on_demand(surroundings)
    found = on_demand(fit(tmp_path, Settings(on_demand=True, private_port=free_port())))

    assert missing.level is Level.FAILURE
    assert "systemd-socket-proxyd" in missing.detail
    assert (held.level, f"(pid {os.getpid()})" in held.detail) == (Level.FAILURE, True)
    assert "private_port" in held.hint
    assert found.level is Level.OK


def test_without_on_demand_neither_is_looked_for(tmp_path: Path) -> None:
    assert on_demand(fit(tmp_path, Settings())).level is Level.OK


@dataclass(slots=True)
class WithThisProxyOnce(FakeSystemd):
    """One whose proxy is the test itself at one look, and has gone, or is yet to come, at the other."""

    looks: list[int] = field(default_factory=list)

    def unit(self, name: str) -> UnitState:
        """See Systemd."""
        found = super(WithThisProxyOnce, self).unit(name)
        return replace(found, main_pid=self.looks.pop(0)) if name == PROXY else found


@pytest.mark.parametrize("looks", [[os.getpid(), 0], [0, os.getpid()]], ids=["it goes", "it comes"])
def test_a_proxy_that_comes_or_goes_meanwhile_is_the_builder_s(tmp_path: Path, looks: list[int]) -> None:
    with listening() as taken:
        surroundings = fit(tmp_path, Settings(port=taken))
        systemd = WithThisProxyOnce(surroundings.world.host, looks=looks)

        verdict = port(replace(surroundings, world=replace(surroundings.world, systemd=systemd)))

    assert verdict.level is Level.OK
