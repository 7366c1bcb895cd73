"""What the database of a Nix store holds valid; it is only ever read."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import quote

import msgspec

from darlingbuilder.core.errors import NixError

_BUSY_SECONDS = 5.0
# A bound for a database that somebody has prepared: some seconds of work for SQLite.
_SQLITE_STEPS = 2_000_000_000
_VARIABLES = 500
# A file's time is that of the kernel's last tick: what changes twice within one looks unchanged.
_TICK_NS = 100_000_000
_WAL_FORMAT = 2
_FORMAT_OFFSET = 18
_Value = TypeVar("_Value")
_Rows = TypeVar("_Rows")
_Described = tuple[int, str, str, int | None, str | None]


@dataclass(frozen=True, slots=True)
class ValidPath:
    """A row of the database. ``nar_hash``: base 16, as ``--dump-db`` prints it; ``deriver``: empty if unknown."""

    number: int
    path: str
    nar_hash: str
    nar_size: int
    deriver: str
    references: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called in the store's directory."""
        return PurePosixPath(self.path).name

    @property
    def registration(self) -> str:
        """The lines by which ``nix-store --load-db`` makes it valid elsewhere (libstore, decodeValidPathInfo)."""
        lines = (self.path, self.nar_hash, str(self.nar_size), self.deriver, str(len(self.references)))
        return "".join(f"{line}\n" for line in (*lines, *self.references))


@dataclass(frozen=True, slots=True)
class StoreDatabase:
    """An open database, at one moment."""

    connection: sqlite3.Connection

    def numbers(self, *, above: int = 0) -> dict[int, str]:
        """Give the valid paths by the numbers of their rows, which are never used twice."""
        return dict(self._rows("select id, path from ValidPaths where id > ?", (above,), list[tuple[int, str]]))

    def valid(self, paths: Iterable[str]) -> dict[str, int]:
        """Give those of ``paths`` that are valid, with their numbers."""
        asked = "select path, id from ValidPaths where path in ({})"
        return dict(row for part in _parts(list(paths)) for row in self._rows(asked, part, list[tuple[str, int]]))

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """Give those of ``paths`` that are valid, with the hashes of their contents in base 16."""
        asked = "select path, hash from ValidPaths where path in ({})"
        rows = (row for part in _parts(list(paths)) for row in self._rows(asked, part, list[tuple[str, str]]))
        return {path: _plain(digest) for path, digest in rows}

    def all_hashes(self) -> dict[str, str]:
        """Give all valid paths with the hashes of their contents in base 16."""
        return {
            path: _plain(digest)
            for path, digest in self._rows("select path, hash from ValidPaths", (), list[tuple[str, str]])
        }

    def all_sizes(self) -> dict[str, int]:
        """Give all valid paths with the bytes that they have as archives; 0 where that is not known."""
        return {
            path: size or 0
            for path, size in self._rows("select path, narSize from ValidPaths", (), list[tuple[str, int | None]])
        }

    def described(self, numbers: Collection[int]) -> list[ValidPath]:
        """Describe the rows with ``numbers``; what has gone in the meantime is left out."""
        asked = "select id, path, hash, narSize, deriver from ValidPaths where id in ({})"
        references = self.references(numbers)
        return [
            ValidPath(number, path, _plain(digest), size or 0, deriver or "", references.get(number, ()))
            for part in _parts(list(numbers))
            for number, path, digest, size, deriver in self._rows(asked, part, list[_Described])
        ]

    def references(self, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
        """Give what the rows with ``numbers`` refer to."""
        asked = (
            "select referrer, path from Refs join ValidPaths on reference = id where referrer in ({}) order by path"
        )
        return _grouped(
            row for part in _parts(list(numbers)) for row in self._rows(asked, part, list[tuple[int, str]])
        )

    def referrers(self, numbers: Collection[int]) -> dict[int, tuple[int, ...]]:
        """Give the numbers of what refers to the rows with ``numbers``, themselves left out."""
        asked = "select reference, referrer from Refs where reference in ({}) and referrer != reference"
        return _grouped(
            row for part in _parts(list(numbers)) for row in self._rows(asked, part, list[tuple[int, int]])
        )

    def times(self, paths: Iterable[str]) -> dict[str, int]:
        """Give when ``paths`` were registered, in epoch seconds."""
        asked = "select path, registrationTime from ValidPaths where path in ({})"
        return dict(row for part in _parts(list(paths)) for row in self._rows(asked, part, list[tuple[str, int]]))

    def _rows(self, asked: str, values: Sequence[object], kind: type[_Rows]) -> _Rows:
        """Give the rows as ``kind``: in a database that somebody has prepared, a column can hold anything."""
        found = self.connection.execute(asked.format(",".join("?" * len(values))), tuple(values)).fetchall()
        return msgspec.convert(found, kind)


@contextlib.contextmanager
def opened(database: Path) -> Iterator[StoreDatabase]:
    """Open the store's ``database`` and read it as it is at this moment. Raises NixError if that cannot be done.

    What a writer has committed last stands in the log beside it. Where there is none, which Nix before 2.10 removes
    when it closes, opening it in the ordinary way would make one.
    """
    try:
        at_rest = _is_at_rest(database)
        how = "mode=ro&immutable=1" if at_rest else "mode=ro"
        connection = sqlite3.connect(f"file:{quote(os.fspath(database))}?{how}", uri=True, timeout=_BUSY_SECONDS)
        with contextlib.closing(connection):
            # The guest's user can prepare its own: the schema is not trusted, and a look has an end.
            connection.execute("pragma trusted_schema = off")
            connection.set_progress_handler(lambda: 1, _SQLITE_STEPS)
            connection.execute("begin")
            yield StoreDatabase(connection)
        if at_rest and not _is_at_rest(database):
            raise sqlite3.OperationalError("somebody has begun to write it")
    except (sqlite3.Error, msgspec.ValidationError, FileNotFoundError) as error:
        raise NixError(f"{database} cannot be read: {error}", hint="see what Nix says: nix-store --verify") from error


@dataclass(slots=True)
class Changes:
    """Tells whether a store's ``database`` may have changed; a look costs two calls of stat."""

    database: Path
    _seen: object = None
    _settled: bool = False

    def seen(self) -> bool:
        """Whether there may be news since this was asked last; the first time there are."""
        found = (_stamp(self.database), _stamp(_log_of(self.database)))
        news = found != self._seen or not self._settled
        self._seen = found
        self._settled = abs(time.time_ns() - max(found)[0]) > _TICK_NS
        return news


def _plain(digest: str) -> str:
    return digest.rpartition(":")[2]


def _is_at_rest(database: Path) -> bool:
    """Whether it keeps its news in a log, and that is absent: then nobody has it open."""
    with database.open("rb") as file:
        header = file.read(_FORMAT_OFFSET + 1)
    return header[_FORMAT_OFFSET:] == bytes([_WAL_FORMAT]) and not _log_of(database).exists()


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _parts(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    return (values[start : start + _VARIABLES] for start in range(0, len(values), _VARIABLES))


def _grouped(pairs: Iterable[tuple[int, _Value]]) -> dict[int, tuple[_Value, ...]]:
    found: dict[int, list[_Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
