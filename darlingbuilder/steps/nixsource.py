"""Where the guest's Nix comes from, and how it gets into the guest's store."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import guestdb, tarball
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.process import Account
from darlingbuilder.adapters.world import World
from darlingbuilder.core import compatibility, storepath
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.links import Links
from darlingbuilder.core.paths import STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.pristine import Brought, Pristine
from darlingbuilder.steps.profile import TOOLS, holds_nix, in_tree, nix_tree

# What is rooted here, no garbage collection in the guest deletes. An installation removes what it has not put here.
ROOTS = Path("/var/nix/gcroots/darlingbuilder")
_CACERT = ROOTS / "cacert"
_DATABASE = Path("/") / DATABASE.relative_to("nix")
_LOG = _DATABASE.with_name(f"{_DATABASE.name}-wal")
_STAGING = ".unpack-"
BUNDLE = Path("etc/ssl/certs/ca-bundle.crt")


@dataclass(frozen=True, slots=True)
class Source:
    """The Nix that the settings name: a store path that the host's Nix fetches, or a release tarball.

    Which Nix a tarball held, and which cacert came along, is told by the links that keep them from the guest's
    garbage collection; a tarball's bears its hash.
    """

    settings: Settings
    world: World

    def wanted(self) -> str | None:
        """Give the store path of the Nix that should be there; None for a tarball that was not unpacked yet."""
        nix = self.settings.nix
        if nix.tarball:
            return self._rooted(self._tarball_root)
        return nix.package or compatibility.nix_path(nix.version)

    def cacert(self) -> str | None:
        """Give the store path of the guest's cacert; None if it has none."""
        return self._rooted(_CACERT)

    def cacert_is_right(self) -> bool:
        """Whether the cacert is that of the settings, if they name one, and is there."""
        cacert = self.cacert()
        if cacert is None:
            return not self.settings.nix.cacert
        return self._holds_bundle(cacert) and self.settings.nix.cacert in {"", cacert}

    def install(self, account: Account) -> None:
        """Bring Nix and cacert into the guest's store, as ``account``, and root what ``wanted`` does not know."""
        self._remove_damaged(account)
        pristine = Pristine(self.settings, self.world)
        kept = pristine.kept()
        if kept:
            # Whatever has emptied the store: no network is needed, and no tarball.
            origin, brought = pristine.root, kept
            self._copy(self._root, account, brought.cacert, origin)
            self._root_links(account, {_CACERT: brought.cacert})
            self._copy(self._root, account, brought.nix, origin)
        else:
            brought = self._bring(self._root, account, lambda cacert: self._root_links(account, {_CACERT: cacert}))
        tarball_root = {self._tarball_root: brought.nix} if self.settings.nix.tarball else {}
        self._root_links(account, {_CACERT: brought.cacert, **tarball_root})
        if self.world.darling.is_mounted(STORE):
            # Over the host's store: a guest that has asked for these paths before would go on missing them.
            self.world.darling.refresh(STORE)

    def keep(self) -> None:
        """Keep what ``install`` would bring, from outside, where the guest cannot change it."""
        Pristine(self.settings, self.world).fill(lambda root: self._bring(root, None, lambda _cacert: None))

    def sweep(self) -> None:
        """Remove what an interrupted ``install`` has left."""
        state = Paths(self.settings).state
        for name in self.world.host.names(state):
            if name.startswith(_STAGING):
                self.world.host.remove(state / name)

    @property
    def _tree(self) -> Tree:
        return nix_tree(self.settings, self.world)

    @property
    def _root(self) -> Path:
        """The directory whose nix/store is the guest's store."""
        return self.world.host.root / Paths(self.settings).state.relative_to("/")

    @property
    def _tarball_root(self) -> Path:
        return ROOTS / f"tarball-{self.settings.nix.sha256}"

    def _rooted(self, link: Path) -> str | None:
        # The guest's user can change it, and gains nothing: the store behind it is theirs as well.
        target = self._tree.link(link)
        return target if storepath.is_store_path(target) else None

    def _remove_damaged(self, account: Account) -> None:
        # Nix would leave a path alone that is there and valid by its database.
        nix, cacert = self.wanted(), self.cacert()
        if nix and not holds_nix(self._tree, nix):
            self._tree.remove(in_tree(nix))
        if cacert and not self._holds_bundle(cacert):
            self._tree.remove(in_tree(cacert))
        if self._database_is_broken(account):
            # No Nix opens a store with such a one. Without any it makes another, which knows of nothing.
            self._tree.remove(_DATABASE.parent)

    def _database_is_broken(self, account: Account) -> bool:
        """Whether the store's database lacks its table; what is still in its log alone gets the benefit of doubt."""
        database, log = self._tree.attributes(_DATABASE), self._tree.attributes(_LOG)
        if log and log.kind is Kind.FILE and log.size:
            return False
        if database is None or database.kind is not Kind.FILE:
            return True
        file, ask = self._root / DATABASE, self.world.accounts.perform
        return not ask(account, lambda: guestdb.has_paths(file), bool, seconds=guestdb.SECONDS)

    def _holds_bundle(self, cacert: str) -> bool:
        return self._tree.attributes(in_tree(cacert) / BUNDLE) is not None

    def _bring(self, root: Path, account: Account | None, found: Callable[[str], None]) -> Brought:
        """Bring Nix and cacert from outside into the store below ``root``; ``found`` is told of the cacert first."""
        if self.settings.nix.tarball:
            return self._bring_tarball(root, account)
        return self._bring_package(root, account, found)

    def _bring_package(self, root: Path, account: Account | None, found: Callable[[str], None]) -> Brought:
        path = self.wanted() or ""
        self.world.nix.fetch(path)
        _refuse_other_than_nix(Tree(self.world.host.root / "nix"), path)
        carried = (one for one in self.world.nix.closure(path) if "-nss-cacert-" in one)
        cacert = self._chosen_cacert() or next(carried, "")
        # Nix comes last: once it is there, nobody looks for what an interrupted «init» has left out.
        self._copy(root, account, cacert, None)
        found(cacert)
        self._copy(root, account, path, None)
        return Brought(path, cacert)

    def _bring_tarball(self, root: Path, account: Account | None) -> Brought:
        file = self.world.host.root / Path(self.settings.nix.tarball).relative_to("/")
        with self._staging() as staging:
            release = tarball.unpack(file, sha256=self.settings.nix.sha256, into=staging)
            _refuse_other_than_nix(Tree(staging / "nix", Links.REFUSED), release.nix)
            self.world.nix.load_into(staging, release.registration)
            paths = list(filter(None, (release.nix, release.cacert)))
            self.world.nix.copy_into(root, paths, account=account, origin=staging)
        chosen = self._chosen_cacert()
        self._copy(root, account, chosen, None)
        return Brought(release.nix, chosen or release.cacert)

    def _copy(self, root: Path, account: Account | None, path: str, origin: Path | None) -> None:
        if path:
            self.world.nix.copy_into(root, [path], account=account, origin=origin)

    def _chosen_cacert(self) -> str:
        """Fetch the cacert of the settings; give its path, empty if they name none."""
        cacert = self.settings.nix.cacert
        if cacert:
            self.world.nix.fetch(cacert)
            if self.world.host.attributes(Path(cacert) / BUNDLE) is None:
                raise ConfigError(
                    f"nix.cacert: {cacert} holds no {BUNDLE}", hint="name nixpkgs' cacert, or leave the setting out"
                )
        return cacert

    def _root_links(self, account: Account, links: dict[Path, str]) -> None:
        # All of the way there is the user's, whose Nix may not have been here yet and will make more of it.
        for directory in (*reversed(ROOTS.parents), ROOTS):
            self._tree.make_directory(directory, owner=account.owner)
        for name in self._tree.names(ROOTS):
            if not links.get(ROOTS / name):
                self._tree.remove(ROOTS / name)
        for link, target in links.items():
            if target and self._tree.link(link) != target:
                self._tree.write_link(link, target, owner=account.owner)

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """Give a directory that root alone can enter, on the disk where there has to be room anyway."""
        self.sweep()
        with tempfile.TemporaryDirectory(dir=self._root, prefix=_STAGING) as staging:
            yield Path(staging)


def _refuse_other_than_nix(tree: Tree, path: str) -> None:
    if not holds_nix(tree, path):
        raise ConfigError(
            f"{path} is no Nix for a builder: it lacks {' or '.join(f'bin/{tool}' for tool in TOOLS)}",
            hint="set nix.package to the store path of Nix itself, built for x86_64-darwin",
        )
