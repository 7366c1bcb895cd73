"""What is read of a store's database while somebody else writes it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from darlingbuilder.adapters import storedb
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.storedb import Changes
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.storepath import below
from tests.fakes.nar import nar_size
from tests.fakes.nix import add

A, B, C = (f"/nix/store/{letter * 32}-{letter}" for letter in "abc")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a store with three paths, of which the third needs the others."""
    for path, references in ((A, ()), (B, (B,)), (C, (A, B))):
        add(tmp_path, path, {"file": path}, references)
    return tmp_path


def test_a_path_is_described_as_nix_dumps_it(root: Path) -> None:
    with storedb.opened(root / DATABASE) as database:
        described = {one.path: one for one in database.described(database.numbers())}

    assert described[C].references == (A, B)
    first, digest, size, deriver, count, *references = described[C].registration.splitlines()
    taken = str(nar_size(below(root, C)))
    assert (first, len(digest), size, deriver, count, references) == (C, 64, taken, "", "2", [A, B])


@pytest.mark.parametrize("column", ["path", "hash", "narSize", "deriver"])
def test_a_row_that_nix_never_wrote_is_refused(root: Path, column: str) -> None:
    with closing(sqlite3.connect(root / DATABASE)) as writer, writer:
        writer.execute(f"update ValidPaths set {column} = x'ff' where path = ?", (A,))  # noqa: S608 - ours

    with pytest.raises(NixError, match="cannot be read"), storedb.opened(root / DATABASE) as database:
        database.described(database.numbers())


def test_what_is_asked_for_and_unknown_is_left_out(root: Path) -> None:
    with storedb.opened(root / DATABASE) as database:
        assert set(database.valid([A, "/nix/store/unknown"])) == {A}
        assert database.referrers(database.valid([B]).values()).popitem()[1] == (database.valid([C])[C],)
        assert set(database.times([A])) == {A}


def test_newer_rows_alone_are_given_above_a_number(root: Path) -> None:
    with storedb.opened(root / DATABASE) as database:
        numbers = database.numbers()
        assert list(database.numbers(above=min(numbers)).values()) == [B, C]


def test_what_a_writer_has_committed_is_seen_although_it_stands_in_its_log(root: Path) -> None:
    with closing(sqlite3.connect(root / DATABASE)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("delete from Refs")
        writer.commit()

        with storedb.opened(root / DATABASE) as database:
            assert database.references(database.numbers()) == {}


@pytest.mark.parametrize("mode", ["wal", "truncate"])
def test_reading_changes_no_byte_and_leaves_no_file(root: Path, mode: str) -> None:
    with closing(sqlite3.connect(root / DATABASE)) as writer:
        writer.execute(f"pragma journal_mode = {mode}")
    before = {path: path.read_bytes() for path in (root / DATABASE).parent.iterdir()}

    with storedb.opened(root / DATABASE) as database:
        assert len(database.numbers()) == 3

    assert {path: path.read_bytes() for path in (root / DATABASE).parent.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_database_is_an_error_with_a_remedy(root: Path, content: bytes) -> None:
    (root / DATABASE).write_bytes(content)

    with pytest.raises(NixError, match="cannot be read"), storedb.opened(root / DATABASE) as database:
        database.numbers()


def test_a_database_that_is_absent_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NixError, match="cannot be read"), storedb.opened(tmp_path / "db.sqlite"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_commit_is_news_and_silence_is_none(root: Path) -> None:
    changes = Changes(root / DATABASE)
    assert changes.seen()
    until_quiet(changes)

    with closing(sqlite3.connect(root / DATABASE)) as writer:
        writer.execute("update ValidPaths set narSize = 5")
        writer.commit()

    assert changes.seen()


def test_a_change_right_after_a_look_is_not_lost_in_the_same_tick_of_the_clock(root: Path) -> None:
    changes = Changes(root / DATABASE)
    (root / DATABASE).touch()
    assert changes.seen()
    # whatever comes now may leave the same time behind
    assert changes.seen()


def until_quiet(changes: Changes) -> None:
    while changes.seen():
        pass
