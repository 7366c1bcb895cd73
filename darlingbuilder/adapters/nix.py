"""The host's Nix, by its own command-line tools."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

import msgspec

from darlingbuilder.adapters import hoststore, process
from darlingbuilder.adapters.process import Account, Start
from darlingbuilder.core import storepath
from darlingbuilder.core.errors import CommandError, NixError, PrerequisiteError
from darlingbuilder.core.tree import Tree

_NIX_COMMAND = ("--extra-experimental-features", "nix-command")
_SECONDS = 60
# Nix itself and what it needs are some 100 MB.
_COPY_SECONDS = 1800
_FETCH_SECONDS = 3600
# A unit's PATH is short: where NixOS, Nix's own installer and Determinate's keep the tools.
_DIRECTORIES = (Path("/run/current-system/sw/bin"), Path("/nix/var/nix/profiles/default/bin"))
DATABASE = Path("nix/var/nix/db/db.sqlite")
# Far more than one look-up by index takes: a bound for a database that somebody has prepared.
_SQLITE_STEPS = 1_000_000


class HostNix(Protocol):
    """What the builder needs of the host's Nix.

    A ``root`` is a directory whose store lies in <root>/nix/store. What is done below it is done as ``account``;
    without one, as ourselves. Every method raises PrerequisiteError if the host has no Nix, NixError if it fails.
    """

    def version(self) -> tuple[int, ...]:
        """Give the version, (2, 26, 3) say."""

    def settings(self) -> Mapping[str, object]:
        """Give the settings in force, by name."""

    def fetch(self, path: str) -> None:
        """Make the store path ``path`` valid on the host, from its substituters, signatures checked."""

    def closure(self, path: str, *, root: Path | None = None) -> list[str]:
        """List the store paths that ``path`` needs, itself included; in the store below ``root``, or the host's."""

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        """Copy the closures of ``paths`` into the store below ``root``, from the host's or the one below ``origin``.

        Contents are compared with their registered hashes on the way. What is there already stays as it is.
        """

    def writable_store(self) -> AbstractContextManager[Tree]:
        """Give the directory of the host's store to write in, even where it is mounted read-only (NixOS)."""

    def load_into(self, root: Path, registration: bytes) -> None:
        """Register paths that lie in the store below ``root`` already, as ``--dump-db`` prints them."""

    def forget(self, root: Path, paths: Sequence[str]) -> None:
        """Make ``paths`` invalid in the store below ``root``, whatever they are rooted by, and remove what is there.

        What refers to one of them must be among them. Fails on one that a running Nix uses at this moment.
        """

    def guard(self, paths: Sequence[str]) -> None:
        """Have a garbage collection that runs on the host spare ``paths``, which have got roots while it ran.

        It may have taken some before: they are not valid then, and nothing is fetched.
        """

    def has(self, root: Path, path: str, *, account: Account | None = None) -> bool:
        """Whether ``path`` is valid in the store below ``root``. Changes nothing there, as a rule not even a time."""


class _Setting(msgspec.Struct):
    """One entry of «nix config show --json»."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class NixCommand:
    """The real one; every version from 2.8 on."""

    def version(self) -> tuple[int, ...]:
        """See HostNix. The last word counts: «nix-store (Lix, like Nix) 2.91.1»."""
        with _purpose("telling its version"):
            line = process.run(tool("nix-store"), "--version").stdout.strip()
        found = re.search(r"(\d+(?:\.\d+)+)\S*\Z", line)
        if not found:
            raise NixError(
                f"the host's Nix says {line!r} of its version", hint="nix-store --version should end in it"
            )
        return tuple(map(int, found[1].split(".")))

    def settings(self) -> Mapping[str, object]:
        """See HostNix. «config show» is 2.20's name, «show-config» the one before."""
        nix = tool("nix")
        shown = process.run(nix, *_NIX_COMMAND, "config", "show", "--json", check=False)
        if shown.code != 0:
            with _purpose("showing its settings"):
                shown = process.run(nix, *_NIX_COMMAND, "show-config", "--json")
        try:
            entries = msgspec.json.decode(shown.stdout, type=dict[str, _Setting])
        except msgspec.DecodeError as error:
            raise NixError(f"«{shown.line}» printed no settings: {error}", hint="run it by hand") from error
        return {name: entry.value for name, entry in entries.items()}

    def fetch(self, path: str) -> None:
        """See HostNix."""
        hint = "its substituters must be reachable and have that path; offline, use nix.tarball with nix.sha256"
        with _purpose(f"fetching {path}", hint=hint):
            process.run(tool("nix-store"), "--realise", path, timeout=_FETCH_SECONDS)

    def closure(self, path: str, *, root: Path | None = None) -> list[str]:
        """See HostNix."""
        with _purpose(f"listing what {path} needs"):
            return process.run(tool("nix-store"), *_store(root), "--query", "--requisites", path).stdout.split()

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        """See HostNix. Written by ``account``, who need not be one whom the host's daemon admits.

        «nix copy» would be one process that both reads the host's store and writes the other. Debian's daemon
        socket is closed to ordinary users, nix.conf's allowed-users may be, and root must not write where the
        guest's user can plant links. So root exports, and the account imports.
        """
        closure = sorted({needed for path in paths for needed in self.closure(path, root=origin)})
        with tempfile.TemporaryFile(dir=root) as archive:
            self._export(archive, closure, origin)
            archive.seek(0)
            _forget_lost(root, closure, account)
            hint = f"look at {root}/nix: does it belong to {account.name if account else 'you'}?"
            with _purpose(f"writing {' '.join(paths)} into {root}/nix", hint=hint):
                process.run(
                    tool("nix-store"), *_store(root), "--import",
                    start=_as(account), stdin=archive, timeout=_COPY_SECONDS,
                )  # fmt: skip

    def writable_store(self) -> AbstractContextManager[Tree]:
        """See HostNix."""
        return hoststore.writable()

    def load_into(self, root: Path, registration: bytes) -> None:
        """See HostNix."""
        hint = "the archive that it came from is damaged, or no release of Nix"
        with _purpose("reading a registration of store paths", hint=hint):
            process.run(tool("nix-store"), *_store(root), "--load-db", stdin=registration)

    def forget(self, root: Path, paths: Sequence[str]) -> None:
        """See HostNix."""
        hint = "a build in the guest uses one of them; it is tried again"
        with _purpose(f"forgetting {len(paths)} paths of {root}/nix", hint=hint):
            process.run(
                tool("nix-store"), *_store(root), "--delete", "--ignore-liveness", *paths, timeout=_COPY_SECONDS
            )

    def guard(self, paths: Sequence[str]) -> None:
        """See HostNix. Whatever realises a path makes it a temporary root first, of which a collector is told."""
        with _purpose(f"keeping {len(paths)} paths from garbage collection"):
            process.run(
                tool("nix-store"), "--realise", "--ignore-unknown", "--option", "substitute", "false", *paths,
                timeout=_COPY_SECONDS,
            )  # fmt: skip

    def has(self, root: Path, path: str, *, account: Account | None = None) -> bool:
        """See HostNix."""
        database = root / DATABASE
        if not database.is_file() or not database.stat().st_size:
            return False  # opening a store that is absent would make it
        if _registered(database, path):
            return True
        # What a running Nix has written last may stand in its write-ahead log alone. Nix knows; it also touches the
        # log's index, so it is asked only where the answer may be no.
        program = tool("nix-store")
        return process.run(
            program, *_store(root), "--check-validity", path, start=_as(account), timeout=_SECONDS, check=False
        ).code == 0  # fmt: skip

    def _export(self, archive: IO[bytes], closure: Sequence[str], origin: Path | None) -> None:
        hint = (
            "nix-store --verify --check-contents --repair mends a damaged store; a damaged archive must be replaced"
        )
        with _purpose("reading the paths to copy", hint=hint):
            process.run(
                tool("nix-store"), *_store(origin), "--export", *closure, stdout=archive, timeout=_COPY_SECONDS
            )


def tool(name: str) -> Path:
    """Find one of Nix's tools. Raises PrerequisiteError."""
    found = process.find(name) or next((path for at in _DIRECTORIES if (path := at / name).is_file()), None)
    if found is None:
        raise PrerequisiteError(
            f"{name}: not found; the host has no Nix",
            hint="install Nix 2.8 or newer (Debian: nix-setup-systemd; else https://nixos.org/download)",
        )
    return found


def _store(root: Path | None) -> tuple[str, ...]:
    return ("--store", f"local?root={quote(os.fspath(root))}") if root else ()


def _as(account: Account | None) -> Start:
    if account is None:
        return Start()
    # The account of a service has no home, and nothing of our environment is its business.
    return Start(environment={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}, account=account)


@contextmanager
def _purpose(purpose: str, *, hint: str = "its own message says why; run it by hand to see more") -> Iterator[None]:
    """Say what for, and what to do, where a tool of the host's Nix fails."""
    try:
        yield
    except CommandError as error:
        raise NixError(f"the host's Nix failed at {purpose}: {error}", hint=_remedy(str(error)) or hint) from error


def _forget_lost(root: Path, paths: Sequence[str], account: Account | None) -> None:
    """Have the store below ``root`` look what is left of it, if one of ``paths`` is not there.

    It believes its database: a path that it knows, and that somebody has deleted, would not be written again.
    """
    if (root / DATABASE).is_file() and not all(os.path.lexists(storepath.below(root, path)) for path in paths):
        process.run(
            tool("nix-store"), *_store(root), "--verify", start=_as(account), timeout=_COPY_SECONDS, check=False
        )


def _remedy(message: str) -> str | None:
    if "No space left on device" in message:
        return "free some disk space, then run it again"
    if "daemon-socket" in message or "cannot connect to" in message:
        return "the host's nix-daemon must run: systemctl start nix-daemon.socket"
    return None


def _registered(database: Path, path: str) -> bool:
    """Look a path up in a store's database, without locks and without the log beside it; false if in doubt.

    Any other way of opening it touches files there, and a converged ``init`` changes no time. The guest's user can
    prepare the file: its schema is not trusted, and the look has an end.
    """
    import sqlite3  # noqa: PLC0415 - few calls need it

    uri = f"file:{quote(os.fspath(database))}?immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.Error:
        return False
    try:
        connection.execute("pragma trusted_schema = off")
        connection.set_progress_handler(lambda: 1, _SQLITE_STEPS)
        found = connection.execute("select 1 from ValidPaths where path = ?", (path,)).fetchone()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return found is not None
