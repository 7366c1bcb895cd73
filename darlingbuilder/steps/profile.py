"""The profile that roots the guest's Nix: its generations, and the way back to the previous one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from darlingbuilder.adapters.world import World
from darlingbuilder.core.links import Links
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import is_store_path
from darlingbuilder.core.tree import Tree

# Below <state>/nix, which the guest sees as /nix.
_PROFILES = Path("/var/nix/profiles")
DEFAULT = _PROFILES / "default"
# What a Nix must have to serve as a builder's: for ssh-ng and for ssh.
TOOLS = ("nix-daemon", "nix-store")
_LINK = re.compile(r"default-([0-9]{1,9})-link\Z")
_HIGHEST = 10**9 - 1


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """One state of the profile: the ``number`` of its link, and the store path that this leads to."""

    number: int
    path: str


@dataclass(frozen=True, slots=True)
class Profile:
    """/nix/var/nix/profiles/default of the guest, as Nix itself would keep it; new links become ``owner``'s.

    What a generation leads to, no garbage collection deletes. An upgrade makes a new generation and keeps the
    one before until ``settle``: the new Nix has passed its trial; or ``fall_back``: it has not.
    """

    tree: Tree
    owner: Owner | None

    def generations(self) -> list[Generation]:
        """List all generations, the oldest first. The guest's user can make links to elsewhere; those are none."""
        found = ((number, self.tree.link(_link(number))) for number in self._numbers())
        return sorted(Generation(number, path) for number, path in found if path and is_store_path(path))

    def current(self) -> Generation | None:
        """Give the generation in force."""
        found = _LINK.match(self.tree.link(DEFAULT) or "")
        return next((one for one in self.generations() if found and one.number == int(found[1])), None)

    def previous(self) -> Generation | None:
        """Give the generation to fall back to: the newest one below the current whose Nix is still there."""
        current = self.current()
        older = [one for one in self.generations() if current and one.number < current.number]
        return next((one for one in reversed(older) if holds_nix(self.tree, one.path)), None)

    def unanswered(self) -> Generation | None:
        """Give the generation that was fallen back from."""
        current, newest = self.current(), self.generations()[-1:]
        return newest[0] if current and newest and newest[0].number > current.number else None

    def select(self, path: str) -> None:
        """Make ``path`` the current generation, a new one if need be. The current one becomes the previous."""
        self.tree.make_directory(_PROFILES, owner=self.owner)
        current, unanswered = self.current(), self.unanswered()
        if current and current.path == path:
            return
        if unanswered and unanswered.path == path:
            self._switch(unanswered.number)
            return
        # What failed its trial is nothing to fall back to.
        self._drop(one for one in self.generations() if current and one.number > current.number)
        number = max(self._numbers(), default=0) + 1
        if number > _HIGHEST:
            # Nix counts by one: whoever got there has made the links by hand.
            self._forget(self._numbers())
            number = 1
        self.tree.write_link(_link(number), path, owner=self.owner)
        self._switch(number)

    def settle(self) -> None:
        """Drop every generation but the current: its Nix has passed its trial."""
        current = self.current()
        self._drop(one for one in self.generations() if current and one != current)

    def fall_back(self) -> Generation | None:
        """Switch to the previous generation, which is given; None if there is none. The one in force stays known."""
        previous = self.previous()
        if previous:
            self._switch(previous.number)
        return previous

    def _switch(self, number: int) -> None:
        self.tree.write_link(DEFAULT, _link(number).name, owner=self.owner)

    def _drop(self, generations: Iterable[Generation]) -> None:
        self._forget([one.number for one in generations])

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.tree.remove(_link(number))

    def _numbers(self) -> list[int]:
        """List the numbers that are taken, by whatever."""
        return [int(found[1]) for name in self.tree.names(_PROFILES) if (found := _LINK.match(name))]


def nix_tree(settings: Settings, world: World) -> Tree:
    """Give the guest's /nix as it lies on the host. Its user can plant links there; none is followed."""
    return replace(world.host, root=world.host.root / Paths(settings).nix.relative_to("/"), links=Links.REFUSED)


def profile_of(settings: Settings, world: World) -> Profile:
    """Give the profile of the builder that ``settings`` describe."""
    account = world.accounts.find(settings.user)
    return Profile(nix_tree(settings, world), account.owner if account else None)


def in_tree(path: str) -> Path:
    """Name the guest's store path ``path`` as ``nix_tree`` does."""
    return Path("/store") / PurePosixPath(path).name


def holds_nix(tree: Tree, path: str) -> bool:
    """Whether ``path`` is a store path that is there and holds a Nix."""
    return is_store_path(path) and all(tree.attributes(in_tree(path) / "bin" / tool) for tool in TOOLS)


def _link(number: int) -> Path:
    return _PROFILES / f"default-{number}-link"
