"""The service: running, and no older than what it has read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darlingbuilder.core.errors import SystemdError
from darlingbuilder.core.paths import HOST_KEY, SHIM, SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.service import Service
from tests.fakes.world import FakeWorld, fake_world
from tests.names import PROXY, PROXY_FILE, SOCKET, SOCKET_FILE, UNIT, UNIT_FILE

MARKER = Paths(Settings()).marker


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """Give a machine with a unit and the files that its service reads."""
    world = fake_world(tmp_path).with_prefix()
    write_unit(world)
    world.host.write(MARKER, b"{}")
    for path in (SSHD_CONFIG, HOST_KEY, SHIM):
        world.darling.files().write(path, b"x")
    world.host.make_directory(Paths(Settings()).nix)
    select_nix(world)
    return world


@pytest.fixture
def service(world: FakeWorld) -> Service:
    return Service(Settings(), world)


def write_unit(world: FakeWorld) -> None:
    world.host.write(UNIT_FILE, b"[Service]\nExecStart=/bin/true\n")


def select_nix(world: FakeWorld, version: str = "2.19.3") -> None:
    profile_of(Settings(), world).select(f"/nix/store/{'0' * 32}-nix-{version}")


def test_one_that_is_down_is_started(service: Service, world: FakeWorld) -> None:
    assert [drift.detail for drift in service.check()] == ["is inactive (dead)"]

    service.apply()

    assert service.check() == []
    assert world.systemd.unit(UNIT).activity.value == "active"


def test_one_that_has_failed_is_started_again(service: Service, world: FakeWorld) -> None:
    service.apply()
    world.systemd.kill(UNIT)

    assert [drift.detail for drift in service.check()] == ["is failed (failed)"]
    service.apply()
    assert service.check() == []


@pytest.mark.parametrize(
    ("touch", "path"),
    [
        (write_unit, UNIT_FILE),
        (lambda world: world.darling.files().write(SSHD_CONFIG, b"y"), SSHD_CONFIG),
        (lambda world: world.darling.files().write(HOST_KEY, b"y"), HOST_KEY),
        (lambda world: world.darling.files().write(SHIM, b"y"), SHIM),
        (lambda world: select_nix(world, "2.20.3"), "/nix/var/nix/profiles/default"),
    ],
    ids=["unit", "sshd_config", "host key", "shim", "Nix"],
)
def test_one_that_is_older_than_what_it_reads_is_started_anew(
    service: Service, world: FakeWorld, touch: Callable[[FakeWorld], None], path: object
) -> None:
    # given
    service.apply()
    before = world.systemd.unit(UNIT).main_pid
    touch(world)
    # then
    assert [drift.detail for drift in service.check()] == [f"runs with an older {path}"]
    service.apply()
    assert service.check() == []
    assert world.systemd.unit(UNIT).main_pid != before


def test_settings_that_it_does_not_read_leave_it_running(service: Service, world: FakeWorld) -> None:
    # Nor do those of an init that failed and of the next one, which takes them back: the unit names what counts.
    service.apply()
    world.host.write(MARKER, b"{ }")
    assert service.check() == []


def test_one_that_does_not_start_is_an_error(service: Service, world: FakeWorld) -> None:
    world.systemd.broken.add(UNIT)
    with pytest.raises(SystemdError, match="failed"):
        service.apply()
    assert service.check() != []


def test_revert_stops_it_and_can_be_repeated(service: Service, world: FakeWorld) -> None:
    service.apply()
    for _ in range(2):
        service.revert()
        assert world.systemd.unit(UNIT).activity.value == "inactive"


@pytest.fixture
def on_demand(world: FakeWorld) -> Service:
    """Give the service of a builder on demand, which waits for a connection."""
    for path in (SOCKET_FILE, PROXY_FILE):
        world.host.write(path, b"[Unit]\n")
    made = Service(Settings(on_demand=True), world)
    made.apply()
    return made


def test_on_demand_it_is_down_and_that_is_as_it_should_be(on_demand: Service, world: FakeWorld) -> None:
    assert on_demand.check() == []
    assert world.systemd.unit(SOCKET).activity.value == "active"
    assert world.systemd.unit(UNIT).activity.value == "inactive"


def test_on_demand_without_its_socket_it_has_drifted(on_demand: Service, world: FakeWorld) -> None:
    world.systemd.stop(SOCKET)
    assert [drift.what for drift in on_demand.check()] == [SOCKET]
    on_demand.apply()
    assert on_demand.check() == []


def test_on_demand_one_that_is_older_than_what_it_reads_is_stopped_until_it_is_needed(
    on_demand: Service, world: FakeWorld
) -> None:
    world.systemd.start(UNIT)
    before = world.systemd.unit(SOCKET).main_pid
    write_unit(world)
    assert [drift.detail for drift in on_demand.check()] == [f"runs with an older {UNIT_FILE}"]

    on_demand.apply()

    assert on_demand.check() == []
    assert world.systemd.unit(UNIT).activity.value == "inactive"
    assert world.systemd.unit(SOCKET).main_pid == before


def test_on_demand_a_changed_socket_is_opened_anew(on_demand: Service, world: FakeWorld) -> None:
    world.host.write(SOCKET_FILE, b"[Socket]\n")
    assert [drift.detail for drift in on_demand.check()] == [f"runs with an older {SOCKET_FILE}"]
    on_demand.apply()
    assert on_demand.check() == []


def test_on_demand_one_that_has_failed_has_to_show_that_it_starts(on_demand: Service, world: FakeWorld) -> None:
    world.systemd.start(UNIT)
    world.systemd.kill(UNIT)
    assert [drift.detail for drift in on_demand.check()] == ["is failed (failed)"]
    world.systemd.broken.add(UNIT)
    with pytest.raises(SystemdError, match="failed"):
        on_demand.apply()
    world.systemd.broken.clear()
    on_demand.apply()
    assert on_demand.check() == []
    assert world.systemd.unit(UNIT).activity.value == "active"


def test_no_longer_on_demand_what_was_in_front_of_it_is_drift(on_demand: Service, world: FakeWorld) -> None:
    assert on_demand.check() == []
    world.systemd.start(PROXY)
    plain = Service(Settings(), world)
    assert [drift.what for drift in plain.check()] == [SOCKET, PROXY, UNIT]
    plain.apply()
    assert plain.check() == []


def test_on_demand_revert_closes_its_door_as_well(on_demand: Service, world: FakeWorld) -> None:
    for _ in range(2):
        on_demand.revert()
        assert world.systemd.unit(SOCKET).activity.value == "inactive"
