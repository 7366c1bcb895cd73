"""The builder made known to the host's ssh and Nix: an alias, a machines line, and what leads Nix to it."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters import sshclient
from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.insertion import Insertion
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import (
    ALIAS,
    CONTROL_SOCKETS,
    NIX_LOAD,
    OUT_OF_SERVICE,
    SSH_ALIAS,
    SSH_CONFIG,
    TMPFILES,
    VENDOR_SSH_CONFIG,
    Paths,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Attributes, Kind
from darlingbuilder.steps.builders import Builders
from darlingbuilder.steps.machinesline import MachinesLine, unwanted

# An sshd that takes connections and says nothing must cost a build less than 10 s in all; a login under load takes 1.
CONNECT_SECONDS = 7
# A builder on demand greets once it has booted. Twice the time that a boot may take is many times what it takes.
BOOTS_AWAITED = 2
# A connection that is kept keeps a builder on demand from resting: never longer than it is to be idle anyway.
PERSIST_SECONDS = 60
_PRIVATE = 0o700
_INCLUDE = f"Include {SSH_ALIAS.parent}/*.conf"
# <URI with / as _>-<slot>, and a lock for uploads.
_SLOT = re.compile(rf"ssh(-ng)?:__({ALIAS}|{OUT_OF_SERVICE})(-[0-9]+|\.upload-lock)\Z")
_OURS = (SSH_ALIAS, TMPFILES)


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
        drift += [*self._builders.check(), *self._include.check()]
        return [*drift, *self.unread_alias()] or self._builders.not_in_effect()

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError where the host's own configuration passes ours by."""
        if not self._wanted:
            if self._leftovers():
                self._withdraw()
            self._line.write()
            return
        self._require_include()
        managed.converge(self._files)
        self.world.host.make_directory(CONTROL_SOCKETS, mode=_PRIVATE, owner=ROOT)
        self._line.write()
        self._include.converge()
        self._builders.apply()
        self._builders.require_effect()

    def revert(self) -> None:
        """See Step."""
        self._withdraw()
        self._line.withdraw()

    def _withdraw(self) -> None:
        Builders(self.world, ()).apply()
        Insertion(self.world.host, SSH_CONFIG).converge()
        managed.withdraw(self.world.host, _OURS)
        sshclient.end_masters(self.world.host.root / CONTROL_SOCKETS.relative_to("/"))
        self.world.host.remove(CONTROL_SOCKETS)
        self._remove_slots()

    def _remove_slots(self) -> None:
        """Remove the locks that Nix keeps for the slots of each machine that it has ever built on."""
        for name in self.world.host.names(NIX_LOAD):
            if _SLOT.match(name):
                self.world.host.remove(NIX_LOAD / name)

    def unread_alias(self) -> list[Drift]:
        """Say so if root's ssh would never come to the alias's file."""
        text = self._text(SSH_CONFIG)
        if text is None and (text := self._text(VENDOR_SSH_CONFIG)) is None:
            return []  # our own block is drift already
        return [] if _includes_alias(text) else [Drift(str(SSH_CONFIG), f"lacks «{_INCLUDE}» before its first Host")]

    @property
    def _wanted(self) -> bool:
        return self.settings.register and self.settings.guest_nix

    @property
    def _files(self) -> list[ManagedFile]:
        host = self.world.host
        return [
            ManagedFile(host, SSH_ALIAS, alias_text(self.settings)),
            ManagedFile(host, TMPFILES, render.unit("darlingbuilder.tmpfiles.conf", directory=CONTROL_SOCKETS)),
        ]

    @property
    def _line(self) -> MachinesLine:
        return MachinesLine(self.settings, self.world)

    @property
    def _builders(self) -> Builders:
        return Builders(self.world)

    @property
    def _include(self) -> Insertion:
        host = self.world.host
        alone = Insertion(host, SSH_CONFIG).foreign is None and host.read(VENDOR_SSH_CONFIG) is None
        return Insertion(host, SSH_CONFIG, f"{_INCLUDE}\n" if alone else "")

    def _leftovers(self) -> list[Drift]:
        host = self.world.host
        ours = [path for path in _OURS if managed.is_ours(host.read(path))]
        # Alone, it is that of an alias which the system's own configuration has.
        if ours and host.attributes(CONTROL_SOCKETS):
            ours.append(CONTROL_SOCKETS)
        drift = [Drift(str(path), unwanted(self.settings)) for path in ours]
        return [*drift, *Builders(self.world, ()).check(), *Insertion(host, SSH_CONFIG).check()]

    def _directory_drift(self) -> list[Drift]:
        found = self.world.host.attributes(CONTROL_SOCKETS)
        if found is None:
            return [Drift(str(CONTROL_SOCKETS), "absent")]
        return [] if _is_private(found) else [Drift(str(CONTROL_SOCKETS), "is open to others than root")]

    def _require_include(self) -> None:
        if drift := self.unread_alias():
            # At the end, where our block would stand, it would come too late: ssh takes the first value it meets.
            raise PrerequisiteError(
                f"{drift[0].what} {drift[0].detail}, so that no ssh would see {SSH_ALIAS}",
                hint=f"make this its first line: {_INCLUDE}; or leave it, set «register = false» and name the port "
                "in the URI for Nix, from 2.31 on (docs/registration.md)",
            )

    def _text(self, path: Path) -> str | None:
        content = self.world.host.read(path)
        return None if content is None else content.decode(errors="replace")


def alias_text(settings: Settings) -> str:
    """Give the ssh_config of the alias, without our header."""
    return render.template(
        "ssh_alias.j2",
        alias=ALIAS,
        out_of_service=OUT_OF_SERVICE,
        port=settings.port,
        user=settings.user,
        key=settings.key,
        known_hosts=Paths(settings).known_hosts,
        connect_seconds=connect_seconds(settings),
        persist_seconds=persist_seconds(settings),
        control_sockets=CONTROL_SOCKETS,
    )


def connect_seconds(settings: Settings) -> int:
    """Give how long ssh waits for the builder's greeting."""
    return CONNECT_SECONDS + (BOOTS_AWAITED * settings.boot_timeout if settings.on_demand else 0)


def persist_seconds(settings: Settings) -> int:
    """Give how long ssh keeps a connection that has no session."""
    bound = settings.idle_timeout if settings.on_demand else 0
    return min(PERSIST_SECONDS, bound or PERSIST_SECONDS)


def _is_private(found: Attributes) -> bool:
    return (found.kind, found.mode, found.owner) == (Kind.DIRECTORY, _PRIVATE, ROOT)


def _includes_alias(text: str) -> bool:
    """Whether an ssh_config reads our file for every host: includes it before the first Host or Match."""
    for line in text.splitlines():
        keyword, *values = line.replace("=", " ", 1).split() or [""]
        if keyword.lower() in {"host", "match"}:
            return False
        patterns = (str(SSH_CONFIG.parent / value.strip('"')) for value in values)
        if keyword.lower() == "include" and any(fnmatch.fnmatch(str(SSH_ALIAS), pattern) for pattern in patterns):
            return True
    return False
