"""The remark on a unit whose limit of open files was raised."""

from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.core.note import Note
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import limits
from tests.fakes.world import FakeWorld, fake_world
from tests.names import UNIT

DIRECTORY = Path("/etc/systemd/system")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """Give a machine whose unit has the limit of the settings."""
    world = fake_world(tmp_path)
    world.host.write(DIRECTORY / UNIT, b"[Service]\nLimitNOFILE=256:524288\n")
    return world


def drop_in(world: FakeWorld, name: str, text: str) -> str:
    path = DIRECTORY / f"{UNIT}.d" / name
    world.host.write(path, text.encode())
    world.systemd.reload()
    return str(path)


def notes(world: FakeWorld, settings: Settings | None = None) -> list[Note]:
    return limits.notes(settings or Settings(), world.host, world.systemd.unit(UNIT))


def test_the_units_own_limit_is_not_worth_a_word(world: FakeWorld) -> None:
    assert notes(world) == []


def test_a_drop_in_that_raises_the_limit_is_named_with_what_it_costs_and_what_to_do(world: FakeWorld) -> None:
    other = drop_in(world, "a.conf", "[Service]\nNice=5\n")
    raising = drop_in(world, "b.conf", "[Service]\nLimitNOFILE=20000\n")

    (note,) = notes(world)

    assert note.what == UNIT
    assert f"{raising} gives a soft limit of 20000" in note.detail
    assert "13.6 s" in note.detail
    assert other not in note.detail
    assert "daemon-reload" in note.hint


def test_no_limit_at_all_is_the_highest(world: FakeWorld) -> None:
    drop_in(world, "a.conf", "[Service]\nLimitNOFILE=infinity\n")
    unlimited = replace(world.systemd.unit(UNIT), nofile=None)

    (note,) = limits.notes(Settings(), world.host, unlimited)

    assert "gives no limit of open files" in note.detail


@pytest.mark.parametrize("limit", [100, 256])
def test_a_drop_in_that_does_not_raise_it_is_the_administrators_affair(world: FakeWorld, limit: int) -> None:
    drop_in(world, "a.conf", f"[Service]\nLimitNOFILE={limit}\n")
    assert notes(world) == []


def test_what_the_settings_allow_is_not_raised(world: FakeWorld) -> None:
    drop_in(world, "a.conf", "[Service]\nLimitNOFILE=1024\n")
    assert notes(world, Settings(nofile=1024)) == []
