"""The database of the guest's store, which its user may have prepared: looked at where it lies, within bounds.

What is in its log alone is not seen. Each function binds the process that calls it for good, in its memory and in
what it may write: it is called in one of that user's own, by way of ``Accounts.perform``.
"""

import os
import resource
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from darlingbuilder.core.storepath import name_of

# So long may a look take, on a busy machine.
SECONDS = 20.0
# Far more than one look-up by index takes.
_STEPS = 1_000_000
# A million paths are not counted in more.
_STEPS_OF_ALL = 20_000_000
_STEPS_BETWEEN = 100_000
# No path is longer, nor a table's definition.
_LONGEST = 1 << 16
# SQLite needs two megabytes, and some for the schema.
_MEMORY = 1 << 28
# More bytes are on no disk, and not in JSON.
_MOST = (1 << 63) - 1
_Answer = TypeVar("_Answer")


def is_registered(database: Path, path: str) -> bool:
    """Whether ``path`` is valid; false if in doubt. Changes nothing there, not even a time."""
    asked = "select 1 from ValidPaths where path = ?"
    return _looked(database, lambda opened: opened.execute(asked, (path,)).fetchone() is not None, unknown=False)


def has_paths(database: Path) -> bool:
    """Whether there is a table of valid paths. No Nix opens a database without it."""
    asked = "select 1 from sqlite_master where type = 'table' and name = 'ValidPaths' collate nocase"
    return _looked(database, lambda opened: opened.execute(asked).fetchone() is not None, unknown=False)


def nar_size(database: Path, names: Collection[str]) -> int:
    """Give the bytes, as archives, of the valid paths that are called one of ``names``; 0 if it is damaged."""

    def counted(opened: sqlite3.Connection) -> int:
        rows = opened.execute("select path, narSize from ValidPaths")
        sizes = (size for path, size in rows if isinstance(path, str) and name_of(path) in names)
        return min(sum(size for size in sizes if isinstance(size, int) and size > 0), _MOST)

    return _looked(database, counted, unknown=0, steps=_STEPS_OF_ALL)


def _looked(
    database: Path, look: Callable[[sqlite3.Connection], _Answer], *, unknown: _Answer, steps: int = _STEPS
) -> _Answer:
    _bind()
    looks = iter(range(steps // _STEPS_BETWEEN))
    # «immutable» takes no lock and opens no log, which both would change times; alone, it would make what is absent.
    uri = f"file:{quote(os.fspath(database))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as opened:
            opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            opened.execute("pragma trusted_schema = off")
            opened.set_progress_handler(lambda: next(looks, None) is None, _STEPS_BETWEEN)
            return look(opened)
    except (sqlite3.Error, MemoryError):
        return unknown


def _bind() -> None:
    """Take little more memory than now, and write no file: what is sorted would go into one."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + _MEMORY)
    _lower(resource.RLIMIT_FSIZE, 0)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (least, least))
