"""The system user that the guest runs as."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters.process import Account
from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, ConfigError
from darlingbuilder.core.managed import HEADER, ManagedFile
from darlingbuilder.core.settings import Settings


@dataclass(frozen=True, slots=True)
class User:
    """A user of our own, described in our sysusers.d file; or one that was there before, which is left as it is."""

    settings: Settings
    world: World
    name: ClassVar[str] = "user"

    def check(self) -> list[Drift]:
        """See Step."""
        account = self.world.accounts.find(self.settings.user)
        if account is None:
            return [Drift(f"user {self.settings.user}", "absent")]
        if _is_root(account):
            return [Drift(f"user {account.name}", "has uid 0: a guest that runs as root owns the host")]
        return managed.check([self._file]) if self._is_ours else []

    def apply(self) -> None:
        """See Step. Raises ConfigError if the user is root by another name."""
        account = self.world.accounts.find(self.settings.user)
        if account and _is_root(account):
            raise ConfigError(
                f"user: {account.name} has uid 0, and a guest that runs as root owns the host",
                hint="choose another «user»; one that does not exist yet is made",
            )
        if account and not self._is_ours:
            return
        managed.converge([self._file])
        if account is None:
            self._create()

    def revert(self) -> None:
        """See Step."""
        # The file is the proof that the user is ours: it goes last.
        if self._is_ours:
            self.world.accounts.delete(self.settings.user)
        managed.withdraw(self.world.host, [self._path])
        # A directory that only administrators fill, and that not every system has.
        self.world.host.remove_if_empty(self._path.parent)

    @property
    def _path(self) -> Path:
        return self.settings.names.sysusers

    @property
    def _is_ours(self) -> bool:
        content = self.world.host.read(self._path) or b""
        words = (line.split() for line in content.decode(errors="replace").splitlines())
        return content.startswith(HEADER.encode()) and any(entry[:2] == ["u", self.settings.user] for entry in words)

    @property
    def _file(self) -> ManagedFile:
        return ManagedFile(
            self.world.host, self._path, render.unit("darlingbuilder.sysusers.conf", user=self.settings.user)
        )

    def _create(self) -> None:
        self.world.accounts.create(self._path)
        account = self.world.accounts.find(self.settings.user)
        if account is None or _is_root(account):
            raise BuilderError(
                f"systemd-sysusers did not make the user {self.settings.user} that {self._path} describes",
                hint=f"make a system user {self.settings.user} by other means; it is then used as it is",
            )


def _is_root(account: Account) -> bool:
    return account.owner.uid == 0
