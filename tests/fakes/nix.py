"""A host's Nix that keeps real store directories: files in <root>/nix/store, what it knows of them in a file."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.nix import uncounted
from darlingbuilder.adapters.nixcopy import DATABASE, Freight, Store
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import NixError, PrerequisiteError
from darlingbuilder.core.storepath import below
from tests.fakes.nar import nar_hash, nar_size

SETTINGS: Mapping[str, object] = {
    "substituters": ["https://cache.nixos.org/"],
    "trusted-public-keys": ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a store's database says of one path."""

    nar_hash: str
    references: tuple[str, ...]


@dataclass(slots=True)
class FakeHostNix:
    """Fetches from ``cache``, another root with a store; None is a machine without network."""

    root: Path
    cache: Path | None = None
    installed: bool = True
    configuration: Mapping[str, object] = field(default_factory=lambda: SETTINGS)

    def version(self) -> tuple[int, ...]:
        self._must_be_installed()
        return (2, 26, 3)

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
        self._copy(root, paths, origin or self.root)

    def load_into(self, root: Path, registration: bytes) -> None:
        self._must_be_installed()
        try:
            _write(root, _read(root) | dict(_parsed(registration.decode().splitlines())))
        except (ValueError, IndexError) as error:
            raise NixError(
                "the host's Nix failed at reading a registration", hint="the archive is damaged"
            ) from error

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
            if needed not in target or not below(root, needed).exists():
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
            rows = database.execute("select path, hash, refs from ValidPaths").fetchall()
    except sqlite3.Error as error:
        raise NixError(f"the host's Nix failed: {root / DATABASE}: {error}", hint="remove it") from error
    return {path: Known(digest, tuple(references.split())) for path, digest, references in rows}


def _write(root: Path, known: Mapping[str, Known]) -> None:
    for directory in ("nix/store", "nix/var/nix/db", "nix/var/nix/gcroots", "nix/var/nix/profiles"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    if known == _read(root) and (root / DATABASE).exists():
        return
    rows = [(path, one.nar_hash, " ".join(one.references), _size(root, path)) for path, one in known.items()]
    with closing(sqlite3.connect(root / DATABASE)) as database, database:
        database.execute(
            "create table if not exists ValidPaths (path text primary key, hash text, refs text, narSize int)"
        )
        database.executemany("insert or replace into ValidPaths values (?, ?, ?, ?)", rows)


def _size(root: Path, path: str) -> int:
    return nar_size(below(root, path)) if below(root, path).exists() else 0
