"""``snapshot``: the builder is stopped meanwhile and runs afterwards, whatever happened."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.commands import snapshot
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld
from tests.names import SOCKET, UNIT

pytestmark = pytest.mark.skipif(process.find("zstd") is None, reason="this machine has no zstd")
FILE = Path("/private/state")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        make(made).darling.files().write(FILE, b"old\n")
        yield made


def run(world: FakeWorld, action: str, name: str | None = None, *, as_json: bool = False, **flags: str) -> ExitCode:
    return snapshot.run(called(world, chosen(**flags)), Namespace(action=action, name=name, json=as_json))


def state(world: FakeWorld) -> str:
    return world.systemd.unit(UNIT).activity.value


def test_what_was_kept_is_put_back_and_the_builder_runs(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    before = world.systemd.unit(UNIT).main_pid
    assert run(world, "create", "one") is ExitCode.OK
    assert (state(world), world.systemd.unit(UNIT).main_pid != before) == ("active", True)
    world.darling.files().write(FILE, b"new\n")

    assert run(world, "restore", "one") is ExitCode.OK

    assert world.darling.files().read(FILE) == b"old\n"
    assert state(world) == "active"
    assert "those of the snapshot one" in capsys.readouterr().out


def test_a_builder_that_was_down_stays_down(world: FakeWorld) -> None:
    world.systemd.stop(UNIT)
    run(world, "create", "one")
    run(world, "restore", "one")
    assert state(world) == "inactive"


def test_a_builder_on_demand_waits_for_its_first_connection_again() -> None:
    with machine() as world:
        make(world, chosen(on_demand="true"))
        assert [world.systemd.unit(unit).activity.value for unit in (SOCKET, UNIT)] == ["active", "inactive"]
        run(world, "create", "one", on_demand="true")
        run(world, "restore", "one", on_demand="true")
        assert [world.systemd.unit(unit).activity.value for unit in (SOCKET, UNIT)] == ["active", "inactive"]


def test_a_snapshot_that_fails_leaves_the_builder_running(world: FakeWorld) -> None:
    run(world, "create", "one")
    file = world.host.real(Paths(Settings()).snapshots) / "one/prefix.tar.zst"
    file.write_bytes(b"damaged")

    with pytest.raises(BuilderError):
        run(world, "restore", "one")

    assert state(world) == "active"
    assert world.darling.files().read(FILE) == b"old\n"


def test_what_there_is_is_listed_for_people_and_programs(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    run(world, "list")
    assert capsys.readouterr().out == "There is no snapshot.\n"
    run(world, "create", as_json=True)
    made = json.loads(capsys.readouterr().out)

    run(world, "list", as_json=True)
    assert json.loads(capsys.readouterr().out) == [made]
    assert made["way"] in {"tar.zst", "reflink"}
    run(world, "list")
    assert made["name"] in capsys.readouterr().out

    run(world, "delete", made["name"], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"name": made["name"]}
    run(world, "list", as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_one_that_cannot_be_read_is_listed_as_such(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.host.write(Paths(Settings()).snapshots / "one/manifest.json", b"{}")
    run(world, "list")
    assert "cannot be restored by this version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "name"), [("restore", None), ("delete", None), ("list", "one"), ("create", "../x")]
)
def test_a_call_that_cannot_be_meant_changes_nothing(world: FakeWorld, action: str, name: str | None) -> None:
    pid = world.systemd.unit(UNIT).main_pid
    with pytest.raises(UsageError):
        run(world, action, name)
    assert world.systemd.unit(UNIT).main_pid == pid


def test_an_ephemeral_builder_has_nothing_to_be_put_back(world: FakeWorld) -> None:
    run(world, "create", "one")
    make(world, chosen(ephemeral="true"))
    with pytest.raises(ConfigError, match="ephemeral is true"):
        run(world, "restore", "one")
