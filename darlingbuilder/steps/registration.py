"""The builder made known to the host's ssh and Nix: an alias, a machines line, and what leads Nix to it."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.insertion import Insertion
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import (
    NIX_LOAD,
    SSH_CONFIG,
    VENDOR_SSH_CONFIG,
    Paths,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.builders import Builders
from darlingbuilder.steps.machinesline import MachinesLine, unwanted
from darlingbuilder.verbs import as_typed

# An sshd that takes connections and says nothing must cost a build less than 10 s in all; a login under load takes 1.
CONNECT_SECONDS = 7
# A builder on demand greets once it has booted. Twice the time that a boot may take is many times what it takes.
BOOTS_AWAITED = 2
# Where every alias of ours lies.
_ALIASES = Instance().ssh_alias.parent
_INCLUDE = f"Include {_ALIASES}/*.conf"


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
        drift = [*managed.check([self._file]), *self._line.check()]
        drift += [*self._builders.check(), *self._include.check()]
        return [*drift, *self.unread_alias()] or self._builders.not_in_effect()

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
        managed.converge([self._file])
        self._line.write()
        self._include.converge()
        self._builders.apply()
        self._builders.require_effect()

    def revert(self) -> None:
        """See Step."""
        with neighbours.changing_shared(self.world, "uninstall"):
            self._withdraw()
            self._line.withdraw()

    def _withdraw(self) -> None:
        Builders(self.world, self._others).apply()
        self._without_us.converge()
        managed.withdraw(self.world.host, [self.settings.names.ssh_alias])
        self._remove_slots()

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
    def _file(self) -> ManagedFile:
        return ManagedFile(self.world.host, self.settings.names.ssh_alias, alias_text(self.settings))

    @property
    def _line(self) -> MachinesLine:
        return MachinesLine(self.settings, self.world)

    @property
    def _others(self) -> tuple[Path, ...]:
        """The machines files that the other builders of this host have included."""
        return tuple(neighbours.registered(self.world.host, self.settings.names.machines))

    @property
    def _builders(self) -> Builders:
        return Builders(self.world, tuple(sorted([*self._others, self.settings.names.machines])))

    @property
    def _include(self) -> Insertion:
        host = self.world.host
        alone = Insertion(host, SSH_CONFIG).foreign is None and host.read(VENDOR_SSH_CONFIG) is None
        return Insertion(host, SSH_CONFIG, f"{_INCLUDE}\n" if alone else "")

    @property
    def _without_us(self) -> Insertion:
        return self._include if self._others else Insertion(self.world.host, SSH_CONFIG)

    def _leftovers(self) -> list[Drift]:
        host = self.world.host
        alias = self.settings.names.ssh_alias
        drift = [Drift(str(alias), unwanted(self.settings))] if managed.is_ours(host.read(alias)) else []
        return [*drift, *Builders(self.world, self._others).check(), *self._without_us.check()]

    def _require_include(self) -> None:
        if drift := self.unread_alias():
            # At the end, where our block would stand, it would come too late: ssh takes the first value it meets.
            raise PrerequisiteError(
                f"{drift[0].what} {drift[0].detail}, so that no ssh would see {self.settings.names.ssh_alias}",
                hint=f"make this its first line: {_INCLUDE}; or leave it, set «register = false» and name the port "
                "in the URI for Nix, from 2.31 on (docs/registration.md)",
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
    )
    return as_typed(text, settings.instance)


def connect_seconds(settings: Settings) -> int:
    """Give how long ssh waits for the builder's greeting."""
    return CONNECT_SECONDS + (BOOTS_AWAITED * settings.boot_timeout if settings.on_demand else 0)


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
