"""``on-demand``: an idle builder is stopped with its proxy, and one that is down has its callers wait."""

from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import ondemand, unit
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.verbs import VERBS
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld
from tests.names import PROXY, SOCKET, UNIT
from tests.steps.prerequisites.machine import free_port


@pytest.fixture
def config() -> Config:
    return chosen(on_demand="true", idle_timeout="60", port=str(free_port()), private_port=str(free_port()))


@pytest.fixture
def world(config: Config) -> Iterator[FakeWorld]:
    """Give a machine with a builder on demand, down."""
    with machine() as made:
        yield make(made, config)


def run(world: FakeWorld, config: Config, action: str) -> ExitCode:
    return ondemand.run(called(world, config), Namespace(action=action))


def order(world: FakeWorld, config: Config, verb: str) -> ExitCode:
    [chosen_verb] = [one for one in VERBS if one.name == verb]
    return unit.run(called(world, config), Namespace(verb=chosen_verb, now=False))


def active(world: FakeWorld) -> set[str]:
    return {name for name in (SOCKET, PROXY, UNIT) if world.systemd.unit(name).activity.value == "active"}


def test_one_that_may_be_needed_stays_up(world: FakeWorld, config: Config) -> None:
    # Nobody listens on its private port: in doubt it stays.
    world.systemd.start(UNIT)
    assert run(world, config, "stop-if-idle") is ExitCode.OK
    assert UNIT in active(world)


def test_one_that_is_down_is_not_started_by_a_proxy_that_comes_back(world: FakeWorld, config: Config) -> None:
    world.systemd.start(PROXY)
    run(world, config, "stop-if-idle")
    assert active(world) == {SOCKET}


def test_while_it_is_down_connections_wait_at_the_socket(world: FakeWorld, config: Config) -> None:
    world.systemd.start(PROXY)
    for _ in range(2):
        assert run(world, config, "hold") is ExitCode.OK
        assert active(world) == {SOCKET}


def test_without_a_builder_there_is_nothing_to_do_it_to(config: Config) -> None:
    with machine() as bare, pytest.raises(BuilderError, match="there is no builder"):
        run(bare, config, "stop-if-idle")


def test_a_start_wakes_it_as_a_connection_does(world: FakeWorld, config: Config) -> None:
    assert active(world) == {SOCKET}
    order(world, config, "start")
    assert active(world) == {SOCKET, PROXY, UNIT}


def test_a_stop_closes_its_door_and_a_start_opens_it(world: FakeWorld, config: Config) -> None:
    order(world, config, "start")
    order(world, config, "stop")
    assert active(world) == set()
    order(world, config, "start")
    assert active(world) == {SOCKET, PROXY, UNIT}


def test_a_restart_gives_a_new_process_behind_the_same_socket(world: FakeWorld, config: Config) -> None:
    order(world, config, "start")
    before = world.systemd.unit(SOCKET).main_pid, world.systemd.unit(UNIT).main_pid
    order(world, config, "restart")
    after = world.systemd.unit(SOCKET).main_pid, world.systemd.unit(UNIT).main_pid
    assert after[0] == before[0]
    assert after[1] != before[1]
