"""The builder made known to the host's ssh and Nix: an alias, a machines line, and what leads Nix to it."""

import fnmatch
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters import sshclient
from darlingbuilder.adapters.world import World
from darlingbuilder.core import machines, managed, nixconf, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.insertion import Insertion
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import (
    CONTROL_SOCKETS,
    HOST_NIX_CONF,
    NIX_LOAD,
    NIX_MACHINES,
    SSH_CONFIG,
    TMPFILES,
    VENDOR_SSH_CONFIG,
    Paths,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Attributes, Kind
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.machinesline import MachinesLine, unwanted
from darlingbuilder.verbs import as_typed

NIX_DAEMON = "nix-daemon.service"
# An sshd that takes connections and says nothing must cost a build less than 10 s in all; a login under load takes 1.
CONNECT_SECONDS = 7
# A builder on demand greets once it has booted. Twice the time that a boot may take is many times what it takes.
BOOTS_AWAITED = 2
# A connection that is kept keeps a builder on demand from resting: never longer than it is to be idle anyway.
PERSIST_SECONDS = 60
_PRIVATE = 0o700
_DEFAULT_BUILDERS = f"@{NIX_MACHINES}"
_SUBSTITUTES = "builders-use-substitutes"
# Where every alias of ours lies.
_ALIASES = Instance().ssh_alias.parent
_INCLUDE = f"Include {_ALIASES}/*.conf"
_INSERTED = (NIX_MACHINES, HOST_NIX_CONF, SSH_CONFIG)


@dataclass(frozen=True, slots=True)
class Registration:
    """Nix finds the builder, and root's ssh finds its port, its keys and its user.

    With ``register = false`` the system's own configuration sees to that (NixOS), and is given the machines line to
    include. A guest without a Nix is not registered either.
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "registration"

    def check(self) -> list[Drift]:
        """See Step."""
        if not self._wanted:
            return [*self._leftovers(), *self._line.check()]
        drift = [*managed.check(self._files), *self._line.check()]
        drift += self._directory_drift()
        drift += [found for insertion in self._insertions(self._included) for found in insertion.check()]
        return [*drift, *self.unread_alias()] or self._not_in_effect()

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError where the host's own configuration passes ours by."""
        if self.check():
            with neighbours.changing_shared(self.world, "init"):
                self._apply()

    def _apply(self) -> None:
        if not self._wanted:
            if self._leftovers():
                self._withdraw()
            self._line.write()
            return
        self._require_include()
        managed.converge(self._files)
        self.world.host.make_directory(CONTROL_SOCKETS, mode=_PRIVATE, owner=ROOT)
        self._line.write()
        if self._insert(self._insertions(self._included)):
            self._renew_daemon()
        if drift := self._not_in_effect():
            raise PrerequisiteError(
                f"{drift[0].what}: {drift[0].detail}",
                hint="NIX_CONFIG or /root/.config/nix/nix.conf, which Nix reads after /etc/nix/nix.conf, may say so; "
                "remove it there, or set «register = false» and register the builder yourself",
            )

    def revert(self) -> None:
        """See Step."""
        with neighbours.changing_shared(self.world, "uninstall"):
            self._withdraw()
            self._line.withdraw()

    def _withdraw(self) -> None:
        daemon_is_older = self._insert(self._insertions(self._others))
        managed.withdraw(self.world.host, [self.settings.names.ssh_alias])
        if not self._others:
            managed.withdraw(self.world.host, [TMPFILES])
            sshclient.end_masters(self.world.host.root / CONTROL_SOCKETS.relative_to("/"))
            self.world.host.remove(CONTROL_SOCKETS)
        self._remove_slots()
        if daemon_is_older:
            self._renew_daemon()

    def _renew_daemon(self) -> None:
        # That many restarts of ours in a short time must not leave the host without its daemon (StartLimitBurst=).
        self.world.systemd.reset_failed(NIX_DAEMON)
        self.world.systemd.try_restart(NIX_DAEMON)

    def _remove_slots(self) -> None:
        """Remove the locks that Nix keeps for the slots of each machine that it has ever built on."""
        names = self.settings.names
        # <URI with / as _>-<slot>, and a lock for uploads.
        slot = re.compile(rf"ssh(-ng)?:__({names.alias}|{names.out_of_service})(-[0-9]+|\.upload-lock)\Z")
        for name in self.world.host.names(NIX_LOAD):
            if slot.match(name):
                self.world.host.remove(NIX_LOAD / name)

    def unread_alias(self) -> list[Drift]:
        """Say so if root's ssh would never come to the alias's file."""
        text = self._text(SSH_CONFIG)
        if text is None and (text := self._text(VENDOR_SSH_CONFIG)) is None:
            return []  # our own block is drift already
        if _includes(text, self.settings.names.ssh_alias):
            return []
        return [Drift(str(SSH_CONFIG), f"lacks «{_INCLUDE}» before its first Host")]

    @property
    def _wanted(self) -> bool:
        return self.settings.register and self.settings.guest_nix

    @property
    def _files(self) -> list[ManagedFile]:
        host = self.world.host
        return [
            ManagedFile(host, self.settings.names.ssh_alias, alias_text(self.settings)),
            ManagedFile(host, TMPFILES, render.unit("darlingbuilder.tmpfiles.conf", directory=CONTROL_SOCKETS)),
        ]

    @property
    def _ours(self) -> list[Path]:
        return [self.settings.names.ssh_alias, *([] if self._others else [TMPFILES])]

    @property
    def _line(self) -> MachinesLine:
        return MachinesLine(self.settings, self.world)

    @property
    def _others(self) -> list[Path]:
        """The machines files that the other builders of this host have included."""
        return neighbours.registered(self.world.host, self.settings.names.machines)

    @property
    def _included(self) -> list[Path]:
        return sorted([*self._others, self.settings.names.machines])

    def _insertions(self, included: list[Path]) -> list[Insertion]:
        """Give our blocks, of all builders of this host, as they are to be for those whose files are ``included``."""
        host = self.world.host
        if not included:
            return [Insertion(host, path) for path in _INSERTED]
        conf = Insertion(host, HOST_NIX_CONF)
        told = nixconf.said(conf.foreign or "", file=HOST_NIX_CONF, read=self._text)
        builders = told.get("builders", _DEFAULT_BUILDERS)
        by_file = NIX_MACHINES in machines.expand(builders, self._text).files
        lines = [] if by_file else [f"builders = {functools.reduce(machines.with_include, included, builders)}"]
        if _SUBSTITUTES not in told:  # whoever has set it, either way, has meant it
            lines.append(f"{_SUBSTITUTES} = true")
        alone = Insertion(host, SSH_CONFIG).foreign is None and host.read(VENDOR_SSH_CONFIG) is None
        return [
            Insertion(host, NIX_MACHINES, "".join(f"@{file}\n" for file in included) if by_file else ""),
            Insertion(host, HOST_NIX_CONF, "".join(f"{line}\n" for line in lines)),
            Insertion(host, SSH_CONFIG, f"{_INCLUDE}\n" if alone else ""),
        ]

    def _insert(self, insertions: list[Insertion]) -> bool:
        """Say whether nix.conf was changed: the daemon reads it once, when it starts, unlike the machines files."""
        return HOST_NIX_CONF in [insertion.path for insertion in insertions if insertion.converge()]

    def _leftovers(self) -> list[Drift]:
        host = self.world.host
        ours = [path for path in self._ours if managed.is_ours(host.read(path))]
        # Alone, it is that of an alias which the system's own configuration has.
        if ours and host.attributes(CONTROL_SOCKETS):
            ours.append(CONTROL_SOCKETS)
        drift = [Drift(str(path), unwanted(self.settings)) for path in ours]
        return drift + [found for insertion in self._insertions(self._others) for found in insertion.check()]

    def _directory_drift(self) -> list[Drift]:
        found = self.world.host.attributes(CONTROL_SOCKETS)
        if found is None:
            return [Drift(str(CONTROL_SOCKETS), "absent")]
        return [] if _is_private(found) else [Drift(str(CONTROL_SOCKETS), "is open to others than root")]

    def _not_in_effect(self) -> list[Drift]:
        try:
            builders = str(self.world.nix.settings().get("builders", _DEFAULT_BUILDERS))
        except PrerequisiteError:  # no Nix: nothing is in effect, and the files are all there is to check
            return []
        ours = self.settings.names.machines
        if ours in machines.expand(builders, self._text).files:
            return []
        return [Drift("Nix's setting builders", f"is {builders!r} in effect, which does not lead to {ours}")]

    def _require_include(self) -> None:
        if drift := self.unread_alias():
            # At the end, where our block would stand, it would come too late: ssh takes the first value it meets.
            raise PrerequisiteError(
                f"{drift[0].what} {drift[0].detail}, so that no ssh would see {self.settings.names.ssh_alias}",
                hint=f"make this its first line: {_INCLUDE}",
            )

    def _text(self, path: Path) -> str | None:
        content = self.world.host.read(path)
        return None if content is None else content.decode(errors="replace")


def alias_text(settings: Settings) -> str:
    """Give the ssh_config of the alias, without our header."""
    text = render.template(
        "ssh_alias.j2",
        alias=settings.names.alias,
        out_of_service=settings.names.out_of_service,
        port=settings.port,
        user=settings.user,
        key=settings.key,
        known_hosts=Paths(settings).known_hosts,
        connect_seconds=connect_seconds(settings),
        persist_seconds=persist_seconds(settings),
        control_sockets=CONTROL_SOCKETS,
    )
    return as_typed(text, settings.instance)


def connect_seconds(settings: Settings) -> int:
    """Give how long ssh waits for the builder's greeting."""
    return CONNECT_SECONDS + (BOOTS_AWAITED * settings.boot_timeout if settings.on_demand else 0)


def persist_seconds(settings: Settings) -> int:
    """Give how long ssh keeps a connection that has no session."""
    bound = settings.idle_timeout if settings.on_demand else 0
    return min(PERSIST_SECONDS, bound or PERSIST_SECONDS)


def _is_private(found: Attributes) -> bool:
    return (found.kind, found.mode, found.owner) == (Kind.DIRECTORY, _PRIVATE, ROOT)


def _includes(text: str, alias: Path) -> bool:
    """Whether an ssh_config reads the file ``alias`` for every host: includes it before the first Host or Match."""
    for line in text.splitlines():
        keyword, *values = line.replace("=", " ", 1).split() or [""]
        if keyword.lower() in {"host", "match"}:
            return False
        patterns = (str(SSH_CONFIG.parent / value.strip('"')) for value in values)
        if keyword.lower() == "include" and any(fnmatch.fnmatch(str(alias), pattern) for pattern in patterns):
            return True
    return False
