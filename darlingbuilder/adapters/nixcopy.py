"""Store paths looked up in a store and carried into another, by the host's Nix: an export piped into an import."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import pipe, process
from darlingbuilder.adapters.nixtool import purpose, started_as, store_flags, tool
from darlingbuilder.adapters.pipe import Command
from darlingbuilder.adapters.process import Account, Completed
from darlingbuilder.core import storepath
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.links import Links
from darlingbuilder.core.tree import Tree

_NIX = Path("nix")
DATABASE = _NIX / "var/nix/db/db.sqlite"
# A command line has an end (ARG_MAX); so many paths are far from it.
_AT_ONCE = 1000
_COPY_SECONDS = 3600
_ASK_SECONDS = 300
_DAMAGED = "nix-store --verify --check-contents --repair mends a damaged store; a damaged archive must be replaced"


@dataclass(frozen=True, slots=True)
class Store:
    """The store below ``root``, used as ``account`` (else as ourselves); without a ``root``, the host's own."""

    root: Path | None = None
    account: Account | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one; Nix would make one where it is only asked for it."""
        if self.root is None:
            return True
        # Its user may have put links there.
        tree = Tree(self.root / _NIX, Links.REFUSED)
        found = tree.attributes(Path("/") / DATABASE.relative_to(_NIX))
        return found is not None and found.kind is Kind.FILE and found.size > 0

    def command(self, *words: str) -> Command:
        """Give a call of nix-store."""
        return Command((tool("nix-store"), *store_flags(self.root), *words), started_as(self.account))


@dataclass(frozen=True, slots=True)
class Freight:
    """What is to be carried: ``paths``, none before one that it refers to, of ``size`` bytes as archives.

    ``present``: what belongs to it and is in the target already.
    """

    source: Store
    target: Store
    paths: tuple[str, ...]
    present: tuple[str, ...]
    size: int


def freight(paths: Sequence[str], source: Store, target: Store) -> Freight:
    """See HostNix."""
    needed = closure(source, paths)
    lacking = _missing(target, needed)
    there = tuple(sorted(set(needed).difference(lacking)))
    return Freight(source, target, tuple(lacking), there, _nar_size(source, lacking))


def closure(store: Store, paths: Sequence[str]) -> list[str]:
    """List what ``paths`` need in ``store``, themselves included, every path after those that it refers to."""
    with purpose(f"listing what {_named(paths)} needs"):
        asked = [_ask(store, "--query", "--requisites", *some) for some in _portions(paths)]
    return list(dict.fromkeys(path for completed in asked for path in completed.stdout.split()))


def carry(freight: Freight, *, moved: Callable[[int], None]) -> None:
    """See HostNix. A stream that ends early leaves the path that it ended in unregistered, those before it valid."""
    for paths in _portions(freight.paths):
        exporting, importing = freight.source.command("--export", *paths), freight.target.command("--import")
        what = f"copying {_named(paths)} {_whither(freight.target)}"
        with purpose(what, hint=_DAMAGED if freight.source.root else _hint(freight.target)):
            pipe.stream(exporting, importing, moved=moved, timeout=_COPY_SECONDS)


def forget_lost(store: Store, paths: Sequence[str]) -> None:
    """Have ``store`` forget those of ``paths`` that are valid by its database and not there, and what needs them.

    It believes its database: a path that it knows, and that somebody has deleted, would not be written again. All
    else that it knows stays valid, there or not: the rest of a shared store is in another layer.
    """
    if store.root is None or not store.exists:
        return
    lost = [path for path in paths if not os.path.lexists(storepath.below(store.root, path))]
    unknown = set(_missing(store, lost))
    known = [path for path in lost if path not in unknown]
    if known:
        forget(store, _with_referrers(store, known))


def forget(store: Store, paths: Sequence[str]) -> None:
    """See HostNix; what refers to another of ``paths`` comes before it."""
    hint = (
        "does a build in the guest use one of them? then once more when it has ended, or after: darlingbuilder stop"
    )
    with purpose(f"forgetting {len(paths)} paths of {store.root}/nix", hint=hint):
        for some in _portions(paths):
            command = store.command("--delete", "--ignore-liveness", *some)
            process.run(*command.argv, start=command.start, timeout=_COPY_SECONDS)


def _with_referrers(store: Store, paths: Sequence[str]) -> list[str]:
    """List ``paths`` and all that needs them in ``store``, each before what it refers to."""
    with purpose(f"listing what needs {_named(paths)}"):
        asked = [_ask(store, "--query", "--referrers-closure", *some) for some in _portions(paths)]
    needing = {path for completed in asked for path in completed.stdout.split()}
    return [path for path in reversed(closure(store, sorted(needing))) if path in needing]


def _missing(store: Store, paths: Sequence[str]) -> list[str]:
    """List those of ``paths`` that are not valid in ``store``, in their order."""
    if not store.exists:
        return list(paths)
    with purpose("looking paths up"):
        asked = [_ask(store, "--check-validity", "--print-invalid", *some) for some in _portions(paths)]
    invalid = {path for completed in asked for path in completed.stdout.split()}
    return [path for path in paths if path in invalid]


def _nar_size(store: Store, paths: Sequence[str]) -> int:
    """Give how many bytes ``paths`` have in ``store``, as archives."""
    with purpose("asking for the size of paths"):
        asked = [_ask(store, "--query", "--size", *some) for some in _portions(paths)]
    return sum(int(line) for completed in asked for line in completed.stdout.split())


def _ask(store: Store, *words: str) -> Completed:
    command = store.command(*words)
    return process.run(*command.argv, start=command.start, timeout=_ASK_SECONDS)


def _portions(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[at : at + _AT_ONCE] for at in range(0, len(paths), _AT_ONCE))


def _named(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[-1]} and {len(paths) - 1} more"


def _whither(target: Store) -> str:
    return f"into {target.root}/nix" if target.root else "into the host's store"


def _hint(target: Store) -> str:
    owner = target.account.name if target.account else "you"
    return f"look at {target.root}/nix: does it belong to {owner}?"
