"""The room that the guest's store takes, by a database that its user may have prepared."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.usage import usage
from tests.fakes.world import FakeWorld, fake_world

NIX = Paths(Settings()).nix


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path).with_user()


def database(world: FakeWorld) -> Path:
    file = world.host.real(NIX) / "var/nix/db/db.sqlite"
    file.parent.mkdir(parents=True, exist_ok=True)
    (world.host.real(NIX) / "store").mkdir(exist_ok=True)
    return file


def hosts(world: FakeWorld) -> Path:
    file = world.host.real(Path("/") / DATABASE)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def fill(file: Path, paths: dict[str, int]) -> None:
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("pragma journal_mode = wal")
        opened.execute("create table ValidPaths (id integer primary key, path text, narSize integer)")
        opened.executemany("insert into ValidPaths (path, narSize) values (?, ?)", list(paths.items()))
        opened.commit()


def test_what_lies_there_is_its_own_and_nothing_is_shared_where_nothing_can_be(world: FakeWorld) -> None:
    fill(database(world), {"/nix/store/a": 1000, "/nix/store/lost": 500})
    (world.host.real(NIX) / "store/a").mkdir()

    found = usage(Settings(), world)

    assert found is not None
    assert (found.own, found.shared) == (1000, 0)
    assert found.free > 0


def test_what_the_host_has_below_is_shared_but_for_what_the_guest_has_itself(world: FakeWorld) -> None:
    fill(database(world), {"/nix/store/mine": 1000, "/nix/store/both": 500})
    fill(hosts(world), {"/nix/store/theirs": 70, "/nix/store/both": 500, "/nix/store/x.drv": 9})
    for name in ("mine", "both"):
        (world.host.real(NIX) / "store" / name).mkdir()

    found = usage(Settings(store="overlay"), world)

    assert found is not None
    assert (found.own, found.shared) == (1500, 70)


def test_a_host_s_database_that_cannot_be_read_is_an_error_with_its_name(world: FakeWorld) -> None:
    fill(database(world), {})
    with pytest.raises(NixError, match=r"db\.sqlite cannot be read"):
        usage(Settings(store="overlay"), world)


def test_without_a_store_there_is_nothing_to_say(world: FakeWorld) -> None:
    assert usage(Settings(), world) is None


def test_a_link_in_the_place_of_the_database_is_not_followed(world: FakeWorld, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", {"/nix/store/a": 1000})
    database(world).symlink_to(tmp_path / "elsewhere")

    assert usage(Settings(), world) is None


@pytest.mark.parametrize("content", [b"", b"short", b"no database at all" * 1000])
def test_a_damaged_database_counts_for_nothing(world: FakeWorld, content: bytes) -> None:
    database(world).write_bytes(content)
    found = usage(Settings(), world)
    assert found is not None
    assert found.own == 0


def test_a_database_that_no_memory_holds_is_not_read_whole(world: FakeWorld) -> None:
    fill(database(world), {"/nix/store/a": 1000})
    (world.host.real(NIX) / "store/a").mkdir()
    os.truncate(database(world), 1 << 40)

    found = usage(Settings(), world)

    assert found is not None
    assert found.own == 1000


def test_without_its_user_there_is_nothing_to_say(tmp_path: Path) -> None:
    world = fake_world(tmp_path)
    fill(database(world), {"/nix/store/a": 1000})
    assert usage(Settings(), world) is None


def test_fifty_thousand_paths_take_no_second(world: FakeWorld) -> None:
    paths = {f"/nix/store/{number:032}-some-package-1.0": 1000 for number in range(50_000)}
    fill(database(world), paths)
    fill(hosts(world), paths)
    began = time.monotonic()
    found = usage(Settings(store="overlay"), world)
    assert time.monotonic() - began < 2
    assert found is not None
    assert found.shared == 50_000_000
