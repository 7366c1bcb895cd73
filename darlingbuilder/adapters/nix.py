"""The host's Nix, by its own command-line tools."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from darlingbuilder.adapters import guestdb, hoststore, identity, nixcopy, process
from darlingbuilder.adapters.nixcopy import DATABASE, Freight, Store
from darlingbuilder.adapters.nixtool import purpose, started_as, store_flags, tool
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.tree import Tree

_NIX_COMMAND = ("--extra-experimental-features", "nix-command")
_SECONDS = 60
_FETCH_SECONDS = 3600
# While paths are copied, a builder that shares the host's store may register them as the host's: then they are not
# written, and it takes another time.
_COPIES = 2


def uncounted(_count: int) -> None:
    """Take no notice of bytes that have moved."""


class HostNix(Protocol):
    """What the builder needs of the host's Nix.

    A ``root`` is a directory whose store lies in <root>/nix/store. What is done below it is done as ``account``;
    without one, as ourselves. Every method raises PrerequisiteError if the host has no Nix, NixError if it fails.
    """

    def version(self) -> tuple[int, ...]:
        """Give the version, (2, 26, 3) say."""

    def name(self) -> str:
        """Give what it calls itself: «Nix», «Lix» or «Determinate Nix 3.8.5»."""

    def settings(self) -> Mapping[str, object]:
        """Give the settings in force, by name."""

    def fetch(self, path: str) -> None:
        """Make the store path ``path`` valid on the host, from its substituters, signatures checked."""

    def closure(self, path: str, *, root: Path | None = None) -> list[str]:
        """List what ``path`` needs, itself included, what is referred to first; below ``root``, or on the host."""

    def freight(self, paths: Sequence[str], *, source: Store, target: Store) -> Freight:
        """Find out what of the closures of ``paths`` is in ``source`` and not yet in ``target``."""

    def carry(self, freight: Freight, *, moved: Callable[[int], None] = uncounted) -> None:
        """Copy ``freight``; ``moved`` is told how many bytes have gone over, each time that some have.

        Contents are compared with their registered hashes on the way. What is there by now stays as it is; of what
        was interrupted, each path is there whole or not at all.
        """

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        """Carry the closures of ``paths`` into the store below ``root``, from the host's or the one below ``origin``.

        What that store takes for valid and has lost is written anew, and what needs it is forgotten; nothing else.
        """

    def writable_store(self) -> AbstractContextManager[Tree]:
        """Give the directory of the host's store to write in, even where it is mounted read-only (NixOS)."""

    def load_into(self, root: Path, registration: bytes) -> None:
        """Register paths that lie in the store below ``root`` already, as ``--dump-db`` prints them."""

    def forget(self, root: Path, paths: Sequence[str]) -> None:
        """Make ``paths`` invalid in the store below ``root``, whatever they are rooted by, and remove what is there.

        What refers to one of them must be among them, and before it. Fails on one that a running Nix uses.
        """

    def guard(self, paths: Sequence[str]) -> None:
        """Have a garbage collection that runs on the host spare ``paths``, which have got roots while it ran.

        It may have taken some before: they are not valid then, and nothing is fetched. None of them is a derivation.
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
        line = _introduction()
        found = re.search(r"(\d+(?:\.\d+)+)\S*\Z", line)
        if not found:
            raise NixError(
                f"the host's Nix says {line!r} of its version", hint="nix-store --version should end in it"
            )
        return tuple(map(int, found[1].split(".")))

    def name(self) -> str:
        """See HostNix. Lix says in the brackets what it is like, too."""
        found = re.search(r"\(([^,)]+)", _introduction())
        return found[1].strip() if found else "Nix"

    def settings(self) -> Mapping[str, object]:
        """See HostNix. «config show» is 2.20's name, «show-config» the one before."""
        nix = tool("nix")
        shown = process.run(nix, *_NIX_COMMAND, "config", "show", "--json", check=False)
        if shown.code != 0:
            with purpose("showing its settings"):
                shown = process.run(nix, *_NIX_COMMAND, "show-config", "--json")
        try:
            entries = msgspec.json.decode(shown.stdout, type=dict[str, _Setting])
        except msgspec.DecodeError as error:
            raise NixError(f"«{shown.line}» printed no settings: {error}", hint="run it by hand") from error
        return {name: entry.value for name, entry in entries.items()}

    def fetch(self, path: str) -> None:
        """See HostNix."""
        hint = "its substituters must be reachable and have that path; offline, use nix.tarball with nix.sha256"
        with purpose(f"fetching {path}", hint=hint):
            process.run(tool("nix-store"), "--realise", path, timeout=_FETCH_SECONDS)

    def closure(self, path: str, *, root: Path | None = None) -> list[str]:
        """See HostNix."""
        return nixcopy.closure(Store(root), [path])

    def freight(self, paths: Sequence[str], *, source: Store, target: Store) -> Freight:
        """See HostNix."""
        return nixcopy.freight(paths, source, target)

    def carry(self, freight: Freight, *, moved: Callable[[int], None] = uncounted) -> None:
        """See HostNix. Each store is read or written by its account, which the host's daemon need not admit.

        «nix copy» would be one process that both reads the host's store and writes the other. Debian's daemon
        socket is closed to ordinary users, nix.conf's allowed-users may be, and root must not go where the guest's
        user can plant links. So one of the two accounts exports, and the other imports.
        """
        nixcopy.carry(freight, moved=moved)

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        """See HostNix."""
        source, target = Store(origin), Store(root, account)
        needed = nixcopy.closure(source, paths)
        for _ in range(_COPIES):
            nixcopy.forget_lost(target, needed)
            freight = self.freight(paths, source=source, target=target)
            if not freight.paths:
                return
            self.carry(freight)

    def writable_store(self) -> AbstractContextManager[Tree]:
        """See HostNix."""
        return hoststore.writable()

    def load_into(self, root: Path, registration: bytes) -> None:
        """See HostNix."""
        hint = "the guest's store is full (see df; raise store_size), or what they came from is damaged"
        with purpose("reading a registration of store paths", hint=hint):
            process.run(tool("nix-store"), *store_flags(root), "--load-db", stdin=registration)

    def forget(self, root: Path, paths: Sequence[str]) -> None:
        """See HostNix."""
        nixcopy.forget(Store(root), paths)

    def guard(self, paths: Sequence[str]) -> None:
        """See HostNix. Whatever realises a path makes it a temporary root first, of which a collector is told."""
        with purpose(f"keeping {len(paths)} paths from garbage collection"):
            process.run(
                tool("nix-store"), "--realise", "--ignore-unknown", "--option", "substitute", "false", *paths,
                timeout=_FETCH_SECONDS,
            )  # fmt: skip

    def has(self, root: Path, path: str, *, account: Account | None = None) -> bool:
        """See HostNix."""
        if not Store(root).exists:
            return False
        database = root / DATABASE
        if identity.as_user(account, lambda: guestdb.is_registered(database, path), bool, seconds=guestdb.SECONDS):
            return True
        # What a running Nix has written last may stand in its write-ahead log alone. Nix knows; it also touches the
        # log's index, so it is asked only where the answer may be no.
        program = tool("nix-store")
        return process.run(
            program, *store_flags(root), "--check-validity", path,
            start=started_as(account), timeout=_SECONDS, check=False,
        ).code == 0  # fmt: skip


def _introduction() -> str:
    """Give the first line of what Nix says of its version; Lix goes on with its features and directories."""
    with purpose("telling its version"):
        said = process.run(tool("nix-store"), "--version").stdout.strip()
    return said.partition("\n")[0].strip()
