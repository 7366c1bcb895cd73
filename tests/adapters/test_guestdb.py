"""What is asked of a database that the guest's user may have prepared, and what that cannot bring about."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from darlingbuilder.adapters import guestdb
from darlingbuilder.adapters.identity import as_user

A, B, LOST = (f"/nix/store/{letter * 32}-{letter}" for letter in "abc")
ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a database with three paths, one of an unknown size."""
    with closing(sqlite3.connect(tmp_path / "db.sqlite")) as opened, opened:
        opened.execute("pragma journal_mode = wal")
        opened.execute("create table ValidPaths (id integer primary key, path text, narSize integer)")
        rows = [(A, 1000), (B, None), (LOST, 70)]
        opened.executemany("insert into ValidPaths (path, narSize) values (?, ?)", rows)
    return tmp_path / "db.sqlite"


def prepared(directory: Path, rows: str) -> Path:
    """Make a database whose paths are ``rows`` of numbers that have no end."""
    with closing(sqlite3.connect(directory / "db.sqlite")) as opened:
        opened.execute(f"create view ValidPaths as {ENDLESS} select {rows}")
    return directory / "db.sqlite"


def is_registered(file: Path, path: str) -> bool:
    return as_user(None, lambda: guestdb.is_registered(file, path), bool, seconds=guestdb.SECONDS)


def has_paths(file: Path) -> bool:
    return as_user(None, lambda: guestdb.has_paths(file), bool, seconds=guestdb.SECONDS)


def nar_size(file: Path, *paths: str) -> int:
    names = {Path(path).name for path in paths}
    return as_user(None, lambda: guestdb.nar_size(file, names), int, seconds=guestdb.SECONDS)


ALL: list[Callable[[Path], bool | int]] = [
    lambda file: is_registered(file, A),
    has_paths,
    lambda file: nar_size(file, A),
]


def test_it_tells_what_is_valid_and_of_which_size(file: Path) -> None:
    assert (is_registered(file, A), is_registered(file, f"{A}x")) == (True, False)
    assert has_paths(file)
    assert (nar_size(file, A, B), nar_size(file)) == (1000, 0)


@pytest.mark.parametrize("content", [b"", b"short", b"no database at all" * 1000])
@pytest.mark.parametrize("ask", ALL)
def test_of_a_damaged_one_nothing_is_believed(tmp_path: Path, content: bytes, ask: Callable[[Path], object]) -> None:
    (tmp_path / "db.sqlite").write_bytes(content)
    assert not ask(tmp_path / "db.sqlite")


@pytest.mark.parametrize("ask", ALL)
def test_nothing_is_made_where_a_link_leads_to(tmp_path: Path, ask: Callable[[Path], object]) -> None:
    (tmp_path / "db.sqlite").symlink_to(tmp_path / "nologin")
    assert not ask(tmp_path / "db.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["db.sqlite"]


@pytest.mark.parametrize("ask", ALL)
def test_nothing_is_changed_there(file: Path, ask: Callable[[Path], object]) -> None:
    def times() -> list[tuple[str, int]]:
        return [(path.name, path.stat().st_mtime_ns) for path in (file.parent, *sorted(file.parent.iterdir()))]

    before = times()
    ask(file)
    assert times() == before


@pytest.mark.parametrize(
    "rows",
    [
        "x as path, 1 as narSize from n",
        "hex(zeroblob(1000000000)) as path, 1 as narSize from n",
        # Sorted, it would fill memory or a file.
        "distinct printf('%060000d', x) as path, 1 as narSize from n order by path",
    ],
    ids=["numbers", "long paths", "sorted paths"],
)
def test_an_answer_that_has_no_end_is_given_up(tmp_path: Path, rows: str) -> None:
    file = prepared(tmp_path, rows)
    began = time.monotonic()
    assert not is_registered(file, A)
    assert nar_size(file, A) == 0
    assert time.monotonic() - began < 15


def test_sizes_that_no_disk_has_are_a_number_of_json_all_the_same(file: Path) -> None:
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("update ValidPaths set narSize = ?", ((1 << 63) - 1,))
    assert nar_size(file, A, B, LOST) == (1 << 63) - 1
