"""A machine below a directory: its files, its systemd with a running nix-daemon, its Nix."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.accounts import SystemAccounts
from darlingbuilder.adapters.darling import Launcher
from darlingbuilder.adapters.world import World
from darlingbuilder.core.paths import (
    HOST_NIX_CONF,
    NIX_CUSTOM_CONF,
    NIX_DAEMON,
    NIX_MACHINES,
    SSH_CONFIG,
    Paths,
    public_half,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.registration import Registration
from tests.fakes.configured_nix import ConfiguredNix
from tests.fakes.ssh import FakeSsh
from tests.fakes.systemd import FakeSystemd
from tests.fakes.tree import RootlessTree

HOST_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGc8 darling-builder\n"
_INCLUDE = b"Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG\n"


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, and what one looks at in it."""

    tree: RootlessTree
    systemd: FakeSystemd
    world: World

    def registration(self, **settings: object) -> Registration:
        return Registration(Settings(**settings), self.world)  # type: ignore[arg-type]  # values of a test

    def text(self, path: Path) -> str:
        return (self.tree.read(path) or b"").decode(errors="replace")

    def snapshot(self) -> dict[Path, tuple[int, int, bytes]]:
        files = sorted(path for path in self.tree.root.rglob("*") if path.is_file())
        return {path: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    def daemon(self) -> int:
        return self.systemd.unit(NIX_DAEMON).main_pid


def make_host(root: Path, *, nix: Mapping[str, object] | None = None, **files: bytes) -> Host:
    """Lay out a machine that has keys. ``nix``: settings said by NIX_CONFIG; ``files``: contents, by short names."""
    root.mkdir(exist_ok=True)
    tree = RootlessTree(root)
    tree.write(public_half(Paths(Settings()).host_key), HOST_KEY)
    named = {"ssh_config": SSH_CONFIG, "nix_conf": HOST_NIX_CONF, "custom": NIX_CUSTOM_CONF, "machines": NIX_MACHINES}
    for name, content in {"ssh_config": _INCLUDE, **files}.items():
        tree.write(named[name], content)
    systemd = FakeSystemd(tree, packaged={NIX_DAEMON})
    systemd.start(NIX_DAEMON)
    darling = Launcher(root / "prefix", "darlingbuilder", SystemAccounts(), "", 1.0)
    configured = ConfiguredNix(tree, overrides=nix or {})
    return Host(tree, systemd, World(tree, SystemAccounts(), darling, configured, FakeSsh(installed=False), systemd))
