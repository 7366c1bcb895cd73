"""The outside world in one value: what steps and commands are given."""

from dataclasses import dataclass, field

from darlingbuilder.adapters.accounts import Accounts
from darlingbuilder.adapters.darling import Darling
from darlingbuilder.adapters.nix import HostNix
from darlingbuilder.adapters.ssh import Ssh
from darlingbuilder.adapters.systemd import Systemd
from darlingbuilder.adapters.volumes import LoopVolumes, Volumes
from darlingbuilder.core.tree import Tree


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside this process; tests put fakes that behave in its place."""

    host: Tree
    accounts: Accounts
    darling: Darling
    nix: HostNix
    ssh: Ssh
    systemd: Systemd
    volumes: Volumes = field(default_factory=LoopVolumes)
