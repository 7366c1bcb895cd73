"""The marker: written first, and never over what is not ours."""

from pathlib import Path

import pytest

from darlingbuilder.core import config, marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ConfigError, ForeignFileError
from darlingbuilder.core.paths import UNIT_FILE, Paths
from darlingbuilder.core.tree import Kind
from darlingbuilder.steps.ownership import Ownership, pending
from darlingbuilder.steps.units import Units, installed_state
from tests.fakes.world import FakeWorld, fake_world

OTHER = "/srv/other~1"


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


def chosen(**flags: str) -> Config:
    return config.load(
        file=None, environment={}, flags={key.replace("__", "."): value for key, value in flags.items()}
    )


def marker_of(settings: Config) -> Path:
    return Paths(settings.settings).marker


def test_on_an_empty_machine_the_marker_is_absent(world: FakeWorld) -> None:
    assert Ownership(chosen(), world).check() == [Drift(str(marker_of(chosen())), "absent")]


def test_the_marker_records_the_settings_and_is_written_once(world: FakeWorld) -> None:
    step = Ownership(chosen(port="2300"), world)
    step.apply()
    before = world.host.attributes(marker_of(chosen()))
    assert step.check() == []
    recorded = marker.read(world.host, marker_of(chosen()))
    assert recorded is not None
    assert recorded.config.settings.port == 2300
    assert before is not None
    assert before.kind is Kind.FILE


def test_a_changed_setting_is_drift_and_is_recorded(world: FakeWorld) -> None:
    Ownership(chosen(), world).apply()
    step = Ownership(chosen(port="2300"), world)
    assert step.check() == [Drift("setting port", "is 2222, should be 2300 (flag)")]
    step.apply()
    assert step.check() == []


def test_what_one_call_was_given_is_not_pending(world: FakeWorld) -> None:
    Ownership(chosen(port="2300"), world).apply()
    recorded = marker.read(world.host, marker_of(chosen()))
    assert recorded is not None
    assert pending(recorded, chosen()) == []
    assert pending(recorded, chosen(cores="2")) != []


@pytest.mark.parametrize("flags", [{"user": "another"}, {"prefix": "/srv/d/guest/prefix"}])
def test_what_a_builder_cannot_change_is_refused(world: FakeWorld, flags: dict[str, str]) -> None:
    Ownership(chosen(), world).apply()
    before = world.host.read(marker_of(chosen()))
    with pytest.raises(ConfigError, match="cannot change from"):
        Ownership(chosen(**flags), world).apply()
    assert world.host.read(marker_of(chosen())) == before


@pytest.mark.parametrize("name", ["guest/prefix", "nix"])
def test_what_nobody_says_is_ours_is_refused(world: FakeWorld, name: str) -> None:
    path = Path(chosen().settings.state) / name
    world.host.write(path / "precious", b"x")
    with pytest.raises(ForeignFileError, match=f"{path} exists, and no marker"):
        Ownership(chosen(), world).apply()
    assert world.host.read(path / "precious") == b"x"
    assert world.host.attributes(marker_of(chosen())) is None


@pytest.mark.parametrize(("first", "second"), [("/var/lib/darling-builder", OTHER), (OTHER, "/srv/another")])
def test_a_second_builder_is_refused_while_there_is_the_first(world: FakeWorld, first: str, second: str) -> None:
    install(world, first)
    with pytest.raises(ConfigError, match=f"from '{first}' to '{second}'") as caught:
        Ownership(chosen(state=second), world).apply()
    assert f"--state={first}" in caught.value.hint
    assert world.host.attributes(Path(second)) is None


def test_a_builder_whose_state_was_deleted_is_in_nobodys_way(world: FakeWorld) -> None:
    install(world, OTHER)
    world.host.remove(Path(OTHER))
    step = Ownership(chosen(), world)
    step.apply()
    assert step.check() == []


@pytest.mark.parametrize("text", [b"", b"[Service]\nExecStart=/bin/serve --state=/srv/x\n"])
def test_a_unit_that_is_not_ours_tells_nothing(world: FakeWorld, text: bytes) -> None:
    world.host.write(UNIT_FILE, text)
    assert installed_state(world.host) is None


def test_revert_takes_the_marker_away_and_what_is_empty(world: FakeWorld) -> None:
    step = Ownership(chosen(), world)
    step.apply()
    for _ in range(2):
        step.revert()
        assert world.host.attributes(Path(chosen().settings.state)) is None
    assert step.check() != []


def install(world: FakeWorld, state: str) -> None:
    given = {} if state == chosen().settings.state else {"state": state}
    Ownership(chosen(**given), world).apply()
    Units(chosen(**given), world).apply()
