"""The builders of a host, found and kept apart."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.core import lock
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ConfigError, LockedError
from darlingbuilder.core.paths import SHARED_LOCK, Paths
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.ownership import Ownership
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.step import Step
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen, seen
from tests.fakes.world import FakeWorld, beside

SECOND = chosen(instance="second")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


def world_of(world: FakeWorld, config: Config) -> FakeWorld:
    return beside(world, config.settings)


def steps(world: FakeWorld, config: Config) -> tuple[Step, ...]:
    return build(config, world_of(world, config), purge=True).steps


def both(world: FakeWorld) -> None:
    make(world)
    make(world_of(world, SECOND), SECOND)


def drift(world: FakeWorld, config: Config) -> list[str]:
    return [f"{step.name}: {found}" for step in steps(world, config) for found in step.check()]


def uninstall(world: FakeWorld, config: Config) -> None:
    for step in reversed(steps(world, config)):
        step.revert()


def test_no_builder_is_found_where_there_is_none(world: FakeWorld) -> None:
    assert neighbours.names(world.host) == []
    assert neighbours.others(world.host, "default") == []


def test_builders_are_found_by_what_they_leave(world: FakeWorld) -> None:
    both(world)
    world.host.write(Path("/etc/darlingbuilder/instances/third.toml"), b"")
    world.host.write(Path("/etc/darlingbuilder/instances/No Name.toml"), b"")
    world.host.write(Path("/etc/systemd/system/darling-builder@.service"), b"")
    world.host.make_directory(Path("/var/lib/darling-builder-kept/keys"))

    assert neighbours.names(world.host) == ["default", "second", "third"]
    assert [one.instance for one in neighbours.others(world.host, "default")] == ["second"]
    assert [one.instance for one in neighbours.others(world.host, "second")] == ["default"]


def test_a_builder_is_found_wherever_its_unit_says_it_is(world: FakeWorld) -> None:
    elsewhere = chosen(instance="second", state="/srv/second")
    make(world_of(world, elsewhere), elsewhere)

    assert [one.state for one in neighbours.others(world.host, "default")] == ["/srv/second"]


def test_one_whose_marker_cannot_be_read_is_in_nobodys_way(world: FakeWorld) -> None:
    both(world)
    world.host.write(Paths(SECOND.settings).marker, b"{")

    assert neighbours.names(world.host) == ["default", "second"]
    assert neighbours.others(world.host, "default") == []


def test_two_builders_are_as_they_should_be_side_by_side(world: FakeWorld) -> None:
    both(world)
    assert drift(world, chosen()) == []
    assert drift(world, SECOND) == []


@pytest.mark.parametrize("order", [(chosen(), SECOND), (SECOND, chosen())], ids=["first", "second"])
def test_each_goes_by_itself_and_the_last_one_leaves_the_machine_as_it_was(
    world: FakeWorld, order: tuple[Config, Config]
) -> None:
    # given
    before = seen(world.host.root)
    both(world)
    first, last = order
    # when
    uninstall(world, first)
    # then
    assert drift(world, last) == []
    uninstall(world, last)
    assert seen(world.host.root) == before


def test_what_another_has_is_refused_before_anything_is_written(world: FakeWorld) -> None:
    make(world)
    before = seen(world.host.root)
    config = chosen(instance="second", port="2222")

    with pytest.raises(ConfigError, match="port = 2222 is that of the builder 'default'"):
        Ownership(config, world_of(world, config)).apply()

    assert seen(world.host.root) == before


def test_a_builder_that_is_there_cannot_be_given_a_port_of_another(world: FakeWorld) -> None:
    both(world)
    with pytest.raises(ConfigError, match="is that of the builder 'second'"):
        Ownership(chosen(port=str(SECOND.settings.port)), world).refuse()


def test_the_state_of_one_builder_is_not_another_one(world: FakeWorld) -> None:
    both(world)
    config = chosen(state=SECOND.settings.state)
    with pytest.raises(ConfigError, match="instance cannot change from 'second' to 'default'"):
        Ownership(config, world_of(world, config)).refuse()


def test_who_changes_what_is_shared_is_alone(world: FakeWorld) -> None:
    place = world.host.real(SHARED_LOCK)
    with (
        neighbours.changing_shared(world, "init"),
        pytest.raises(LockedError, match="init"),
        lock.held(place, purpose="test", seconds=0),
    ):
        pass
    assert not os.path.lexists(place)
