"""The Darling prefix: made by its own first boot, as the service user."""

from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import PASSWD, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.exchange import Exchange

# Of the prefix's parent: the launcher makes the prefix as the guest's user, who alone has any business there.
PARENT_MODE = 0o750


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix that Darling has set up, in a directory that the service user owns; no exchange of it half done.

    ``purge``: ``revert`` removes the snapshots, too.
    """

    settings: Settings
    world: World
    purge: bool = False
    name: ClassVar[str] = "prefix"

    @property
    def _paths(self) -> Paths:
        return Paths(self.settings)

    @property
    def _exchange(self) -> Exchange:
        return Exchange(self.settings, self.world)

    def check(self) -> list[Drift]:
        """See Step."""
        return [*self._exchange.check(), *self._check_parent(), *self._check_prefix()]

    def apply(self) -> None:
        """See Step. The container is down afterwards: systemd would kill what ExecStartPre leaves running."""
        self._exchange.finish()
        owner = accounts.required(self.world.accounts, self.settings.user).owner
        self.world.host.make_directory(self._paths.prefix.parent, mode=PARENT_MODE, owner=owner)
        if not self._check_prefix():
            return
        self._remove()
        # Darling sets a prefix up only if the directory does not exist: never make it beforehand.
        with self.world.host.real(self._paths.boot_log).open("ab") as log:
            self.world.darling.boot(log)
        self.world.darling.shutdown()
        if left := self._check_prefix():
            raise DarlingError(
                f"{self._paths.prefix}: the first boot did not set it up: {left[0].detail}",
                hint=f"what it printed is in {self._paths.boot_log}",
            )

    def revert(self) -> None:
        """See Step. ``uninstall`` keeps the snapshots, unless it takes the keys as well."""
        self._exchange.finish()
        self._remove()
        if self.purge:
            self.world.host.remove(self._paths.snapshots)
        self.world.host.remove_if_empty(self._paths.prefix.parent)
        self.world.host.remove(self._paths.boot_log)

    def _check_parent(self) -> list[Drift]:
        parent = self._paths.prefix.parent
        found, account = self.world.host.attributes(parent), self.world.accounts.find(self.settings.user)
        if found is None:
            return [Drift(str(parent), "absent")]
        if account is None or found.owner != account.owner:
            return [Drift(str(parent), f"does not belong to {self.settings.user}, who must be able to write there")]
        return []

    def _check_prefix(self) -> list[Drift]:
        what = str(self._paths.prefix)
        if self.world.host.attributes(self._paths.prefix) is None:
            return [Drift(what, "absent")]
        passwd = self.world.darling.files().read(PASSWD)
        if passwd is None:
            return [Drift(what, "half-made: a first boot was interrupted, there is no passwd")]
        account = self.world.accounts.find(self.settings.user)
        ids = f":{account.owner.uid}:{account.owner.gid}:" if account else ""
        if account is None or not any(
            line.startswith(f"{account.name}:") and ids in line
            for line in passwd.decode(errors="replace").splitlines()
        ):
            return [Drift(what, f"was made for another user than {self.settings.user}")]
        return []

    def _remove(self) -> None:
        if self.world.host.attributes(self._paths.prefix):
            self.world.darling.shutdown()
        self.world.host.remove(self._paths.prefix)
        self.world.host.remove(self._paths.workdir)
