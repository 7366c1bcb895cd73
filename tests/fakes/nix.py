"""A host's Nix that keeps real store directories: files in <root>/nix/store, what it knows of them in a file."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.nix import uncounted
from darlingbuilder.adapters.nixcopy import DATABASE, Freight, Store
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import NixError, PrerequisiteError
from darlingbuilder.core.storepath import below
from darlingbuilder.core.tree import Tree
from tests.fakes.nar import nar_hash, nar_size

SETTINGS: Mapping[str, object] = {
    "substituters": ["https://cache.nixos.org/"],
    "trusted-public-keys": ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
}


# As Nix's own (libstore, schema.sql).
_SCHEMA = """
create table if not exists ValidPaths (
    id integer primary key autoincrement not null, path text unique not null, hash text not null,
    registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text, ca text
);
create table if not exists Refs (
    referrer integer not null, reference integer not null, primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths begin
    delete from Refs where referrer = old.id and reference = old.id;
end;
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What a store's database says of one path."""

    nar_hash: str
    references: tuple[str, ...]


@dataclass(slots=True)
class FakeHostNix:
    """Fetches from ``cache``, another root with a store; None is a machine without network.

    ``busy``: what a running Nix uses; ``guarded``: what garbage collectors were told to spare.
    """

    root: Path
    cache: Path | None = None
    installed: bool = True
    configuration: Mapping[str, object] = field(default_factory=lambda: SETTINGS)
    busy: set[str] = field(default_factory=set)
    guarded: set[str] = field(default_factory=set)

    def version(self) -> tuple[int, ...]:
        self._must_be_installed()
        return (2, 26, 3)

    def name(self) -> str:
        self._must_be_installed()
        return "Nix"

    def settings(self) -> Mapping[str, object]:
        self._must_be_installed()
        return self.configuration

    def fetch(self, path: str) -> None:
        self._must_be_installed()
        if path in _read(self.root):
            return
        if self.cache is None or path not in _read(self.cache):
            raise NixError(f"the host's Nix failed at fetching {path}", hint="offline, use nix.tarball")
        self._copy(self.root, [path], self.cache)

    def closure(self, path: str, *, root: Path | None = None) -> list[str]:
        self._must_be_installed()
        return list(_closure(_read(root or self.root), path))

    def freight(self, paths: Sequence[str], *, source: Store, target: Store) -> Freight:
        self._must_be_installed()
        known, there = _read(source.root or self.root), _read(target.root or self.root)
        needed = list(dict.fromkeys(one for path in paths for one in _closure(known, path)))
        lacking = tuple(path for path in needed if path not in there)
        size = sum(nar_size(below(source.root or self.root, path)) for path in lacking)
        return Freight(source, target, lacking, tuple(sorted(set(needed) - set(lacking))), size)

    def carry(self, freight: Freight, *, moved: Callable[[int], None] = uncounted) -> None:
        self._must_be_installed()
        origin = freight.source.root or self.root
        for path in freight.paths:
            self._copy(freight.target.root or self.root, [path], origin)
            moved(nar_size(below(origin, path)))

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        del account  # the fake writes as ourselves
        self._must_be_installed()
        known = _read(root)
        needed = {one for path in paths for one in _closure(_read(origin or self.root), path)}
        lost = {path for path in needed if path in known and not below(root, path).exists()}
        needing = [path for path in known if lost.intersection(_closure(known, path))]
        if needing:
            self.forget(root, needing)
        self._copy(root, paths, origin or self.root)

    @contextmanager
    def writable_store(self) -> Iterator[Tree]:
        self._must_be_installed()
        yield Tree(self.root / "nix/store")

    def load_into(self, root: Path, registration: bytes) -> None:
        self._must_be_installed()
        try:
            _write(root, _read(root) | dict(_parsed(registration.decode().splitlines())))
        except (ValueError, IndexError) as error:
            raise NixError(
                "the host's Nix failed at reading a registration", hint="the archive is damaged"
            ) from error

    def forget(self, root: Path, paths: Sequence[str]) -> None:
        self._must_be_installed()
        known = _read(root)
        referring = [path for path, one in known.items() if set(paths) & set(one.references) and path not in paths]
        if referring or self.busy.intersection(paths):
            raise NixError(f"Cannot delete path, since it is still alive: {referring}", hint="it is tried again")
        try:
            _delete(root, paths)
        except sqlite3.IntegrityError as error:
            raise NixError(f"the host's Nix failed at deleting paths: {error}", hint="nix-store --verify") from error

    def guard(self, paths: Sequence[str]) -> None:
        self._must_be_installed()
        self.guarded.update(paths)

    def has(self, root: Path, path: str, *, account: Account | None = None) -> bool:
        del account
        self._must_be_installed()
        try:
            return path in _read(root)
        except NixError:
            return False

    def _copy(self, root: Path, paths: Sequence[str], origin: Path) -> None:
        source, target = _read(origin), _read(root)
        for needed in dict.fromkeys(one for path in paths for one in _closure(source, path)):
            at = below(origin, needed)
            if not at.exists() or nar_hash(at) != source[needed].nar_hash:
                raise NixError(f"the host's Nix failed at copying {needed}: its hash has changed", hint="repair it")
            if needed not in target:
                shutil.rmtree(below(root, needed), ignore_errors=True)
                shutil.copytree(at, below(root, needed), symlinks=True)
                target = target | {needed: source[needed]}
        _write(root, target)

    def _must_be_installed(self) -> None:
        if not self.installed:
            raise PrerequisiteError("nix-store: not found; the host has no Nix", hint="install it")


def add(root: Path, path: str, files: Mapping[str, str], references: tuple[str, ...] = ()) -> str:
    """Put a valid path into the store below ``root``; what lies in bin/ is executable."""
    for name, content in files.items():
        file = below(root, path) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755 if name.startswith("bin/") else 0o644)
    _write(root, _read(root) | {path: Known(nar_hash(below(root, path)), references)})
    return path


def _closure(known: Mapping[str, Known], path: str) -> Iterator[str]:
    if path not in known:
        raise NixError(f"the host's Nix failed: path '{path}' is not valid", hint="fetch it")
    for reference in known[path].references:
        if reference != path:
            yield from _closure(known, reference)
    yield path


def _parsed(lines: list[str]) -> Iterator[tuple[str, Known]]:
    while lines:
        path, digest, _, _, count, *rest = lines
        if len(digest) != 64:
            raise ValueError("hash of the wrong length")
        references, lines = rest[: int(count)], rest[int(count) :]
        yield path, Known(digest, tuple(references))


def _read(root: Path) -> dict[str, Known]:
    if not (root / DATABASE).is_file():
        return {}
    try:
        with closing(sqlite3.connect(root / DATABASE)) as database:
            rows = database.execute("select path, hash from ValidPaths").fetchall()
            pairs = database.execute(
                "select a.path, b.path from Refs join ValidPaths a on referrer = a.id "
                "join ValidPaths b on reference = b.id"
            ).fetchall()
    except sqlite3.Error as error:
        raise NixError(f"the host's Nix failed: {root / DATABASE}: {error}", hint="remove it") from error
    return {
        path: Known(digest.removeprefix("sha256:"), tuple(to for start, to in pairs if start == path))
        for path, digest in rows
    }


def _write(root: Path, known: Mapping[str, Known]) -> None:
    for directory in ("nix/store", "nix/var/nix/db", "nix/var/nix/gcroots", "nix/var/nix/profiles"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    before = _read(root)
    if known == before and (root / DATABASE).exists():
        return
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.executescript(_SCHEMA)
        new = {path: one for path, one in known.items() if before.get(path) != one}
        with database:
            for path, one in new.items():
                row = (path, f"sha256:{one.nar_hash}", int(time.time()), _size(root, path))
                database.execute(
                    "insert into ValidPaths (path, hash, registrationTime, narSize) values (?, ?, ?, ?) "
                    "on conflict (path) do update set hash = excluded.hash, narSize = excluded.narSize",
                    row,
                )
            for path, one in new.items():
                for reference in one.references:
                    _refer(database, path, reference)


def _size(root: Path, path: str) -> int:
    return nar_size(below(root, path)) if below(root, path).exists() else 0


def _refer(database: sqlite3.Connection, path: str, reference: str) -> None:
    found = [
        database.execute("select id from ValidPaths where path = ?", (one,)).fetchone() for one in (path, reference)
    ]
    if None in found:
        raise ValueError(f"path '{reference}' is not valid")
    database.execute("insert or replace into Refs values (?, ?)", (found[0][0], found[1][0]))


def _delete(root: Path, paths: Sequence[str]) -> None:
    with closing(sqlite3.connect(root / DATABASE)) as database, database:
        database.execute("pragma foreign_keys = on")
        for path in paths:
            database.execute("delete from Refs where referrer = (select id from ValidPaths where path = ?)", (path,))
        for path in paths:
            database.execute("delete from ValidPaths where path = ?", (path,))
    for path in paths:
        shutil.rmtree(below(root, path), ignore_errors=True)
