"""The marker: written first, and never over what is not ours."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from darlingbuilder.core import marker, unfinished
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, ConfigError, ForeignFileError
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.commandlines import installed_state
from darlingbuilder.steps.ownership import Ownership, pending
from darlingbuilder.steps.units import Units
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld, fake_world
from tests.names import UNIT_FILE

OTHER = "/srv/other~1"
PATHS = Paths(Settings())


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


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
    assert installed_state(Instance(), world.host) is None


def test_revert_takes_the_marker_away_and_what_is_empty(world: FakeWorld) -> None:
    step = Ownership(chosen(), world)
    step.apply()
    for _ in range(2):
        step.revert()
        assert world.host.attributes(Path(chosen().settings.state)) is None
    assert step.check() != []


def test_revert_takes_what_a_killed_writer_has_left(world: FakeWorld) -> None:
    Ownership(chosen(), world).apply()
    world.host.write(PATHS.state / unfinished.name_for(PATHS.known_hosts.name), b"half")

    Ownership(chosen(), world).revert()

    assert world.host.attributes(PATHS.state) is None


def test_everybody_can_read_it_and_enter_the_state_directory(world: FakeWorld) -> None:
    Ownership(chosen(), world).apply()

    found = {path: world.host.attributes(path) for path in (PATHS.state, PATHS.marker)}
    assert {path: (one.mode, one.owner) for path, one in found.items() if one} == {
        PATHS.state: (0o755, ROOT),
        PATHS.marker: (0o644, ROOT),
    }


@pytest.mark.parametrize(("mode", "owner"), [(0o700, ROOT), (0o777, ROOT), (0o755, Owner(4712, 4712))])
def test_a_state_directory_that_was_closed_or_given_away_is_put_right(
    world: FakeWorld, mode: int, owner: Owner
) -> None:
    # given
    step = Ownership(chosen(), world)
    step.apply()
    world.host.make_directory(PATHS.state, mode=mode, owner=owner)
    # when
    [drift] = step.check()
    step.apply()
    # then
    assert drift.what == str(PATHS.state)
    assert step.check() == []


def test_a_state_directory_that_is_a_link_to_another_disk_is_used(world: FakeWorld, tmp_path: Path) -> None:
    # given
    (tmp_path / "disk").mkdir()
    world.host.write_link(PATHS.state, str(tmp_path / "disk"))
    step = Ownership(chosen(), world)
    # when
    step.apply()
    # then
    assert step.check() == []
    assert (tmp_path / "disk" / "builder.json").exists()


def test_the_same_value_said_elsewhere_is_drift_of_its_origin(world: FakeWorld) -> None:
    # given: as a flag it holds for one call, in a file for good
    Ownership(chosen(), world).apply()
    said = chosen(port="2222")
    # when
    [drift] = Ownership(said, world).check()
    Ownership(said, world).apply()
    # then
    assert drift.detail == "have changed"
    assert Ownership(said, world).check() == []


@pytest.mark.parametrize("act", [Ownership.check, Ownership.apply], ids=["check", "apply"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b"\xff\xfe", b'{"schema": 1, "tool_version": "1"}'])
def test_a_marker_that_is_none_is_an_error_and_stays(
    world: FakeWorld, act: Callable[[Ownership], object], content: bytes
) -> None:
    world.host.write(PATHS.marker, content)

    with pytest.raises(BuilderError, match="is not a marker of darlingbuilder") as caught:
        act(Ownership(chosen(), world))

    assert caught.value.hint
    assert world.host.read(PATHS.marker) == content


def test_a_marker_of_a_later_version_is_left_to_that_version(world: FakeWorld) -> None:
    world.host.write(PATHS.marker, json.dumps({"schema": 99, "tool_version": "9.0", "new": True}).encode())

    with pytest.raises(ForeignFileError, match=r"was written by darlingbuilder 9\.0"):
        Ownership(chosen(), world).check()


def test_the_end_of_the_marker_leaves_what_else_is_in_the_directory(world: FakeWorld) -> None:
    Ownership(chosen(), world).apply()
    world.host.write(PATHS.state / "theirs", b"x")

    Ownership(chosen(), world).revert()

    assert world.host.names(PATHS.state) == ["theirs"]


def install(world: FakeWorld, state: str) -> None:
    given = {} if state == chosen().settings.state else {"state": state}
    Ownership(chosen(**given), world).apply()
    Units(chosen(**given), world).apply()
