"""Store paths brought into the guest's store, and from there into the host's, without a call of the guest."""

import enum
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.nixcopy import Freight, Store
from darlingbuilder.adapters.world import World
from darlingbuilder.core import storepath
from darlingbuilder.core.errors import BuilderError, NixError, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree

# As many as the kernel follows.
_MOST_LINKS = 40


class Direction(enum.Enum):
    """Which way paths are carried."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is carried between the host's store and the guest's, below <state>/nix.

    Nothing of the guest's has a signature: whoever pulls a path trusts the guest with it and with all that it needs,
    as Nix trusts a builder with what it has built. Its files are read as the guest's user, never as root.
    """

    settings: Settings
    world: World

    def freight(self, direction: Direction, paths: Sequence[str]) -> Freight:
        """Find out what is to be carried for ``paths``. Raises BuilderError where a path is not in its store."""
        account = accounts.required(self.world.accounts, self.settings.user)
        host, guest = Store(), Store(self.world.host.real(Paths(self.settings).state), account)
        source, target = (host, guest) if direction is Direction.PUSH else (guest, host)
        if not guest.exists:
            raise BuilderError(f"{guest.root}/nix holds no store", hint="make it: darlingbuilder init")
        try:
            found = self.world.nix.freight(paths, source=source, target=target)
        except NixError as error:
            raise NixError(str(error), hint=_where(direction)) from error
        if direction is Direction.PUSH and self.settings.shares_store:
            # What the host has, the guest sees; a copy would only lie over it.
            return replace(found, paths=(), present=(*found.present, *found.paths), size=0)
        return found


def store_paths(host: Tree, words: Sequence[str], directory: Path) -> list[str]:
    """Give the store paths that ``words`` name, seen from ``directory``. Raises UsageError."""
    return list(dict.fromkeys(_store_path(host, word, directory) for word in words))


def _store_path(host: Tree, word: str, directory: Path) -> str:
    path = Path(os.path.normpath(directory / word))
    for _ in range(_MOST_LINKS):
        # The path may be absent here, as one that only the guest has.
        if found := re.match(rf"({storepath.PATTERN})(/|\Z)", str(path)):
            return found[1]
        link = next((one for one in (*reversed(path.parents), path) if host.link(one) is not None), None)
        if link is None:
            break
        path = Path(os.path.normpath(link.parent / (host.link(link) or "") / path.relative_to(link)))
    raise UsageError(
        f"{word} is no store path, nor a link to one",
        hint="name a path in /nix/store, or a link to one such as ./result",
    )


def _where(direction: Direction) -> str:
    if direction is Direction.PUSH:
        return "build or fetch it on this machine first: nix-store --realise PATH"
    return "the guest's store does not hold it; «darlingbuilder shell ls /nix/store» shows what it holds"
