"""A whole machine that is interrupted at a chosen moment of what is done to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from darlingbuilder.adapters.process import Account
from darlingbuilder.core.links import Links
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from tests.fakes.accounts import FakeAccounts
from tests.fakes.darling import FakeDarling, GuestTree
from tests.fakes.ledger import LedgerTree
from tests.fakes.nix import FakeHostNix
from tests.fakes.ssh import FakeSsh
from tests.fakes.systemd import FakeSystemd
from tests.fakes.volumes import FakeVolumes
from tests.fakes.world import FakeWorld


@dataclass
class Fuse:
    """Interrupts once, as Ctrl-C does, when so much has been done; ``left`` is None where it never does."""

    left: int | None = None
    done: int = 0

    def burn(self) -> None:
        """Count one more thing that is done, or interrupt before it."""
        if self.left == 0:
            self.left = None
            raise KeyboardInterrupt
        self.done += 1
        self.left = None if self.left is None else self.left - 1


@dataclass(frozen=True)
class FusedTree(LedgerTree):
    """Burns with every change of a file, those that are part of another change included."""

    fuse: Fuse = field(default_factory=Fuse)

    def write(self, path: Path, content: bytes, *, mode: int = 0o644, owner: Owner | None = None) -> None:
        self.fuse.burn()
        super().write(path, content, mode=mode, owner=owner)

    def create(self, path: Path, content: bytes, *, mode: int, owner: Owner) -> None:
        self.fuse.burn()
        super().create(path, content, mode=mode, owner=owner)

    def replace(self, path: Path, content: bytes, *, mode: int, owner: Owner, mtime_ns: int | None = None) -> None:
        self.fuse.burn()
        super().replace(path, content, mode=mode, owner=owner, mtime_ns=mtime_ns)

    def set_attributes(self, path: Path, *, mode: int, owner: Owner) -> None:
        self.fuse.burn()
        super().set_attributes(path, mode=mode, owner=owner)

    def write_link(self, path: Path, target: str, *, owner: Owner | None = None) -> None:
        self.fuse.burn()
        super().write_link(path, target, owner=owner)

    def make_directory(self, path: Path, *, mode: int = 0o755, owner: Owner | None = None) -> None:
        if owner or self.attributes(path) is None:
            self.fuse.burn()
        super().make_directory(path, mode=mode, owner=owner)

    def rename(self, path: Path, target: Path) -> None:
        self.fuse.burn()
        super().rename(path, target)
        self.fuse.burn()

    def remove(self, path: Path) -> None:
        if self.attributes(path):
            self.fuse.burn()
        super().remove(path)

    def remove_if_empty(self, path: Path) -> None:
        self.fuse.burn()
        super().remove_if_empty(path)


@dataclass(frozen=True)
class FusedGuest(FusedTree, GuestTree):
    """The guest's files, likewise."""


@dataclass
class FusedDarling(FakeDarling):
    """Burns before and after each boot, and with every file that a first boot makes."""

    fuse: Fuse = field(default_factory=Fuse)

    def files(self) -> Tree:
        return FusedGuest(self.prefix, Links.REFUSED, self.ledger, mounts=self.mounts, fuse=self.fuse)

    def boot(self, log: IO[bytes]) -> None:
        self.fuse.burn()
        super().boot(log)
        self.fuse.burn()

    def shutdown(self) -> None:
        self.fuse.burn()
        super().shutdown()

    def mount(self, source: Path, target: Path) -> None:
        self.fuse.burn()
        super().mount(source, target)


@dataclass
class FusedAccounts(FakeAccounts):
    fuse: Fuse = field(default_factory=Fuse)

    def create(self, sysusers_file: Path) -> None:
        self.fuse.burn()
        super().create(sysusers_file)

    def delete(self, name: str) -> None:
        self.fuse.burn()
        super().delete(name)


@dataclass
class FusedNix(FakeHostNix):
    """Copies one path after the other, so that an interrupted copy has brought a part."""

    fuse: Fuse = field(default_factory=Fuse)

    def fetch(self, path: str) -> None:
        self.fuse.burn()
        super().fetch(path)

    def copy_into(
        self, root: Path, paths: Sequence[str], *, account: Account | None = None, origin: Path | None = None
    ) -> None:
        for needed in dict.fromkeys(one for path in paths for one in self.closure(path, root=origin)):
            self.fuse.burn()
            super().copy_into(root, [needed], account=account, origin=origin)

    def load_into(self, root: Path, registration: bytes) -> None:
        self.fuse.burn()
        super().load_into(root, registration)


@dataclass
class FusedVolumes(FakeVolumes):
    fuse: Fuse = field(default_factory=Fuse)

    def make(self, image: Path, size: int) -> None:
        self.fuse.burn()
        super().make(image, size)
        self.fuse.burn()

    def grow(self, image: Path, size: int) -> None:
        self.fuse.burn()
        super().grow(image, size)
        self.fuse.burn()

    def mount(self, image: Path, at: Path) -> None:
        self.fuse.burn()
        super().mount(image, at)
        self.fuse.burn()

    def unmount(self, at: Path) -> None:
        self.fuse.burn()
        super().unmount(at)
        self.fuse.burn()


@dataclass
class FusedSystemd(FakeSystemd):
    """Burns with every change that it is asked for."""

    fuse: Fuse = field(default_factory=Fuse)

    def start(self, name: str) -> None:
        self.fuse.burn()
        super().start(name)

    def stop(self, name: str) -> None:
        self.fuse.burn()
        super().stop(name)

    def reload(self) -> None:
        self.fuse.burn()
        super().reload()

    def enable(self, name: str) -> None:
        self.fuse.burn()
        super().enable(name)

    def disable(self, name: str) -> None:
        self.fuse.burn()
        super().disable(name)

    def reset_failed(self, name: str) -> None:
        self.fuse.burn()
        super().reset_failed(name)


def fused_world(root: Path, fuse: Fuse, settings: Settings | None = None) -> FakeWorld:
    """Give an empty machine like ``fake_world``'s, every change of which burns ``fuse``."""
    chosen = settings or Settings()
    host = FusedTree(root, fuse=fuse)
    accounts = FusedAccounts(host, fuse=fuse)
    prefix = host.real(chosen.prefix_path)
    return FakeWorld(
        host=host,
        accounts=accounts,
        darling=FusedDarling(prefix, chosen.user, accounts, ledger=host.ledger, fuse=fuse),
        nix=FusedNix(root, fuse=fuse),
        ssh=FakeSsh(),
        systemd=FusedSystemd(host, fuse=fuse),
        volumes=FusedVolumes(fuse=fuse),
    )
