"""The real world, put together for given settings."""

from pathlib import Path

from darlingbuilder.adapters.accounts import SystemAccounts
from darlingbuilder.adapters.darling import Launcher
from darlingbuilder.adapters.nix import NixCommand
from darlingbuilder.adapters.ssh import OpenSsh
from darlingbuilder.adapters.systemdbus import SystemdBus
from darlingbuilder.adapters.world import World
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree


def world(settings: Settings) -> World:
    """Give this machine, with the launcher, the prefix and the user that ``settings`` name."""
    accounts = SystemAccounts()
    return World(
        host=Tree(Path("/")),
        accounts=accounts,
        darling=Launcher(
            prefix=settings.prefix_path,
            user=settings.user,
            accounts=accounts,
            program=settings.darling,
            boot_timeout=settings.boot_timeout,
        ),
        nix=NixCommand(),
        ssh=OpenSsh(),
        systemd=SystemdBus(),
    )
