"""A whole machine below a directory, in the terms of ``World``."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core.settings import Settings
from tests.fakes.accounts import FakeAccounts
from tests.fakes.darling import FakeDarling
from tests.fakes.ledger import LedgerTree
from tests.fakes.nix import FakeHostNix
from tests.fakes.ssh import FakeSsh
from tests.fakes.systemd import FakeSystemd
from tests.fakes.volumes import FakeVolumes


@dataclass(frozen=True, slots=True)
class FakeWorld(World):
    """A World whose fakes a test may reach into."""

    host: LedgerTree
    accounts: FakeAccounts
    darling: FakeDarling
    nix: FakeHostNix
    ssh: FakeSsh
    systemd: FakeSystemd
    volumes: FakeVolumes = field(default_factory=FakeVolumes)

    def with_user(self, name: str = "darlingbuilder") -> "FakeWorld":
        """Give this world with a service user."""
        self.accounts.add(name)
        return self

    def with_prefix(self) -> "FakeWorld":
        """Give this world with a service user and a prefix that has been booted once and is down."""
        account = self.with_user(self.darling.user).accounts.find(self.darling.user)
        parent = Path("/") / self.darling.prefix.parent.relative_to(self.host.root)
        self.host.make_directory(parent, mode=0o750, owner=account.owner if account else None)
        with (self.host.root / "boot.log").open("ab") as log:
            self.darling.boot(log)
        self.darling.shutdown()
        return self


def beside(world: FakeWorld, settings: Settings) -> FakeWorld:
    """Give the same machine as another builder with ``settings`` has it: with a container of its own."""
    prefix = world.host.root / settings.prefix_path.relative_to("/")
    darling = FakeDarling(prefix, settings.user, world.accounts, ledger=world.host.ledger)
    return replace(world, darling=darling)


def fake_world(tmp_path: Path, settings: Settings | None = None) -> FakeWorld:
    """Give an empty machine whose / is ``tmp_path``: no service user, no prefix, all tools installed.

    The prefix of ``settings`` lies where they say, below ``tmp_path``.
    """
    chosen = settings or Settings()
    host = LedgerTree(tmp_path)
    accounts = FakeAccounts(host)
    prefix = tmp_path / chosen.prefix_path.relative_to("/")
    return FakeWorld(
        host=host,
        accounts=accounts,
        darling=FakeDarling(prefix, chosen.user, accounts, ledger=host.ledger),
        nix=FakeHostNix(tmp_path),
        ssh=FakeSsh(),
        systemd=FakeSystemd(host),
    )
