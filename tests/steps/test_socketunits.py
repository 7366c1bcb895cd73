"""The units in front of a builder on demand come and go with the setting."""

import shlex
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.errors import ForeignFileError, PrerequisiteError
from darlingbuilder.steps import socketunits
from darlingbuilder.steps.commandlines import program
from darlingbuilder.steps.units import Units
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld, fake_world
from tests.names import PROXY, PROXY_FILE, SOCKET, SOCKET_FILE, UNIT, UNIT_FILE

FLAGS = {"on_demand": "true", "idle_timeout": "600", "port": "2300", "private_port": "2301"}


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


def units(world: FakeWorld, **flags: str) -> Units:
    return Units(chosen(**(flags or FLAGS)), world)


def lines(world: FakeWorld, path: Path) -> list[str]:
    return (world.host.read(path) or b"").decode().splitlines()


def test_the_socket_is_enabled_and_open_and_the_builder_is_not_started_at_boot(world: FakeWorld) -> None:
    units(world).apply()

    assert units(world).check() == []
    assert world.systemd.unit(SOCKET).file_state == "enabled"
    assert world.systemd.unit(SOCKET).activity is Activity.ACTIVE
    assert world.systemd.unit(UNIT).file_state != "enabled"
    assert "[Install]" not in lines(world, UNIT_FILE)
    assert "ListenStream=127.0.0.1:2300" in lines(world, SOCKET_FILE)
    assert f"Service={PROXY}" in lines(world, SOCKET_FILE)


def test_the_proxy_leads_to_the_private_port_and_asks_whether_the_builder_is_idle(world: FakeWorld) -> None:
    units(world).apply()

    [start] = [line for line in lines(world, PROXY_FILE) if line.startswith("ExecStart=")]
    [asks] = [line for line in lines(world, PROXY_FILE) if line.startswith("ExecStopPost=")]
    words = shlex.split(asks.partition("=+")[2])
    assert start.endswith(" --exit-idle-time=600 127.0.0.1:2301")
    assert words[: len(program())] == program()
    parsed = cli.parser().parse_args(words[len(program()) :])
    assert (parsed.verb.module, parsed.action) == ("ondemand", "stop-if-idle")


def test_the_builder_has_connections_wait_when_it_has_ended(world: FakeWorld) -> None:
    units(world).apply()

    [holds] = [line for line in lines(world, UNIT_FILE) if line.startswith("ExecStopPost=") and "on-demand" in line]
    parsed = cli.parser().parse_args(shlex.split(holds.partition("=+")[2])[len(program()) :])
    assert (parsed.verb.module, parsed.action) == ("ondemand", "hold")


def test_one_that_is_never_stopped_has_a_proxy_that_never_ends(world: FakeWorld) -> None:
    units(world, on_demand="true").apply()
    assert not [line for line in lines(world, PROXY_FILE) if "idle" in line]


def test_applied_again_nothing_changes(world: FakeWorld) -> None:
    units(world).apply()
    before = seen(world.host.root), times(world.host.root), world.systemd.unit(SOCKET)
    units(world).apply()
    assert (seen(world.host.root), times(world.host.root), world.systemd.unit(SOCKET)) == before


def test_a_builder_that_runs_keeps_the_port_until_the_service_sees_to_it(world: FakeWorld) -> None:
    units(world, port="2300").apply()
    world.systemd.start(UNIT)

    units(world).apply()

    assert units(world).check() == []
    assert world.systemd.unit(SOCKET).activity is Activity.INACTIVE


def test_an_open_socket_stays_open_for_its_caller_when_the_proxy_alone_changes(world: FakeWorld) -> None:
    units(world).apply()
    before = world.systemd.unit(SOCKET).main_pid

    units(world, **{**FLAGS, "idle_timeout": "60"}).apply()

    assert world.systemd.unit(SOCKET).main_pid == before
    assert units(world, **{**FLAGS, "idle_timeout": "60"}).check() == []


def test_switched_off_it_is_drift_and_goes(world: FakeWorld) -> None:
    units(world).apply()
    world.systemd.start(PROXY)
    plain = units(world, port="2300")
    assert plain.check() != []

    plain.apply()

    assert plain.check() == []
    assert [world.host.read(path) for path in (SOCKET_FILE, PROXY_FILE)] == [None, None]
    assert world.systemd.unit(SOCKET).activity is Activity.INACTIVE
    assert world.systemd.unit(PROXY).activity is Activity.INACTIVE
    assert world.systemd.unit(UNIT).file_state == "enabled"


def test_switched_off_while_builds_go_through_it_the_proxy_stays_for_them(world: FakeWorld) -> None:
    units(world).apply()
    for unit in (UNIT, PROXY):
        world.systemd.start(unit)

    units(world, port="2300").apply()

    assert world.systemd.unit(PROXY).activity is Activity.ACTIVE


def test_reverted_twice_nothing_of_it_is_left(world: FakeWorld) -> None:
    units(world).apply()
    for _ in range(2):
        units(world).revert()
    assert world.systemd.unit(SOCKET).load == "not-found"
    assert [path for path in seen(world.host.root) if "darling-builder" in path] == []


def test_a_unit_of_somebody_else_is_refused_and_stays(world: FakeWorld) -> None:
    world.host.write(SOCKET_FILE, b"[Socket]\n")
    with pytest.raises(ForeignFileError, match=r"darling-builder\.socket was not written by"):
        units(world).apply()
    units(world).revert()
    assert world.host.read(SOCKET_FILE) == b"[Socket]\n"


def test_where_the_system_brings_the_units_it_has_to_bring_all_three(world: FakeWorld) -> None:
    brought = units(world, **FLAGS, install_unit="false")
    world.systemd.packaged.add(UNIT)
    with pytest.raises(PrerequisiteError, match=r"darling-builder\.socket is not-found"):
        brought.apply()
    world.systemd.packaged |= {SOCKET, PROXY}
    brought.apply()
    assert brought.check() == []
    assert world.host.read(SOCKET_FILE) is None


def test_systemd_s_proxy_is_found_where_distributions_have_it(world: FakeWorld) -> None:
    assert socketunits.proxyd(world.host) is None
    world.host.write(Path("/run/current-system/systemd/lib/systemd/systemd-socket-proxyd"), b"")
    assert socketunits.proxyd(world.host) == Path("/run/current-system/systemd/lib/systemd/systemd-socket-proxyd")
