"""A builder whose settings file is broken is found by its unit and its marker, and never another one in its place."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from darlingbuilder.core import config
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.paths import Paths
from darlingbuilder.steps.recorded import instead_of_file
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld, beside

ELSEWHERE = chosen(state="/srv/builder", port="2022")
SECOND = chosen(instance="second", state="/srv/second", prefix="/srv/guest/prefix")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a machine in use, without a builder."""
    with machine() as made:
        yield made


def builder(world: FakeWorld, wanted: Config) -> Config:
    make(beside(world, wanted.settings), wanted)
    return wanted


def found(
    world: FakeWorld,
    flags: Mapping[str, str] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config | None:
    return instead_of_file(file, environment or {}, flags or {}, world.host)


def test_it_is_as_it_was_made_wherever_the_file_had_said_that_it_is(world: FakeWorld) -> None:
    made = builder(world, ELSEWHERE)

    recorded = found(world)

    assert recorded is not None
    assert (recorded.settings, recorded.origins) == (made.settings, made.origins)


@pytest.mark.parametrize("environment", [{}, {"DARLINGBUILDER_INSTANCE": "second"}])
def test_one_with_a_name_is_found_by_that(world: FakeWorld, environment: dict[str, str]) -> None:
    builder(world, ELSEWHERE)
    made = builder(world, SECOND)
    flags = {} if environment else {"instance": "second"}

    recorded = found(world, environment=environment, flags=flags)

    assert recorded is not None
    assert recorded.settings == made.settings


def test_where_there_is_none_there_is_none(world: FakeWorld) -> None:
    assert found(world) is None
    builder(world, ELSEWHERE)
    assert found(world, {"instance": "second"}) is None
    # another one's state
    assert found(world, {"instance": "second", "state": "/srv/builder"}) is None


def test_a_file_that_was_named_is_that_of_the_builder_that_was_made_with_it(world: FakeWorld, tmp_path: Path) -> None:
    # given
    file = tmp_path / "mine.toml"
    file.write_text("port = 2022\n")
    made = builder(world, config.load(file=file, environment={}, flags={}))
    file.write_text("port = \n")
    # then
    for recorded in (found(world, file=file), found(world, environment={"DARLINGBUILDER_CONFIG": str(file)})):
        assert recorded is not None
        assert recorded.settings == made.settings
    # it might say of whom it is, if it could be read: not of the default one
    assert found(world, file=tmp_path / "second.toml") is None


def test_without_a_marker_that_can_be_read_it_is_known_where_it_was(world: FakeWorld, tmp_path: Path) -> None:
    builder(world, ELSEWHERE)
    world.host.write(Paths(ELSEWHERE.settings).marker, b"{")

    recorded = found(world)

    assert recorded is not None
    assert recorded.settings.state == "/srv/builder"
    assert found(world, file=tmp_path / "other.toml") is None


def test_what_else_is_wrong_with_a_call_stays_wrong(world: FakeWorld) -> None:
    builder(world, ELSEWHERE)
    with pytest.raises(ConfigError, match="environment: port"):
        found(world, environment={"DARLINGBUILDER_PORT": "many"})
