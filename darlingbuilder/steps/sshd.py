"""What the guest's sshd reads: its host key, its configuration, and whose keys may log in, clients' included."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.world import World
from darlingbuilder.core import listen, managed, render
from darlingbuilder.core.attributes import Attributes, Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, GuestPathError, KeyFileError
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import (
    AUTHORIZED_KEYS,
    CA_BUNDLE,
    GUEST_ETC,
    GUEST_PROFILE,
    HOST_KEY,
    NIX_CONF,
    SSHD_CONFIG,
    Paths,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keyring import Keyring, Role

_KEY_MODE = 0o600
_LONGEST_KEY = 1 << 16
_DIRECTORY_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Sshd:
    """What sshd reads in the guest.

    The configuration belongs to root and is readable by all, for sshd runs as the service user. That keeps the
    guest's programs from editing it by accident; it is no border: the directories above it in the prefix are that
    user's own, as is sshd. The host key is the user's, for sshd takes only a key that its own user alone can read.
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "sshd"

    def check(self) -> list[Drift]:
        """See Step."""
        try:
            files = self.world.darling.files()
            return [*_check_directory(files), *self._check_host_key(files), *self._check_config(files)]
        except GuestPathError as error:
            return [Drift(str(GUEST_ETC), f"cannot be looked into: {error}")]

    def apply(self) -> None:
        """See Step. Raises BuilderError if the host's sshd refuses the configuration; the old one stays then."""
        files, owner = self.world.darling.files(), accounts.required(self.world.accounts, self.settings.user).owner
        host_key = self._ring.contents(Role.HOST)[0]
        config, authorized = self._config(files), self._authorized_keys(files)
        if managed.check([config]):
            self._validate(config.text)
        files.make_directory(GUEST_ETC, mode=_DIRECTORY_MODE, owner=ROOT)
        if self._check_host_key(files):
            files.write(HOST_KEY, host_key, mode=_KEY_MODE, owner=owner)
        managed.converge([authorized, config])

    def revert(self) -> None:
        """See Step."""
        # Where a link has been put in the directory's place, nothing of ours is left; the prefix goes as a whole.
        with contextlib.suppress(GuestPathError):
            files = self.world.darling.files()
            managed.withdraw(files, [SSHD_CONFIG, AUTHORIZED_KEYS])
            files.remove(HOST_KEY)
            files.remove_if_empty(GUEST_ETC)

    def admit(self) -> None:
        """Let in those whose keys count now, and nobody else, from the next login on; sshd itself goes on as it is.

        A guest that has nothing for sshd yet is left alone: ``init`` has still to make it.
        """
        files = self.world.darling.files()
        if files.attributes(GUEST_ETC):
            managed.converge([self._authorized_keys(files)])

    def show_next(self) -> None:
        """Give the guest the next host key, if there is one, in place of the one in use.

        Its file stays as old as it was: the running sshd is told of it, and is not older than its files.
        """
        files, content = self.world.darling.files(), self._ring.contents(Role.HOST)[-1]
        found = files.attributes(HOST_KEY)
        if found and files.read(HOST_KEY) != content:
            owner = accounts.required(self.world.accounts, self.settings.user).owner
            files.replace(HOST_KEY, content, mode=_KEY_MODE, owner=owner, mtime_ns=found.mtime_ns)

    @property
    def _ring(self) -> Keyring:
        return Keyring(self.settings, self.world.host)

    def _check_host_key(self, files: Tree) -> list[Drift]:
        found = files.attributes(HOST_KEY)
        # The guest's user may have put there a file that no memory holds.
        content = files.read(HOST_KEY) if found and found.size < _LONGEST_KEY else b""
        account = self.world.accounts.find(self.settings.user)
        if found is None or content is None:
            return [Drift(str(HOST_KEY), "absent")]
        try:
            wanted = self._ring.contents(Role.HOST)
        except KeyFileError as error:
            return [Drift(str(HOST_KEY), str(error))]
        # While a key is replaced, both are pinned, and either may be shown.
        if content not in wanted:
            return [Drift(str(HOST_KEY), f"is not the key of {Paths(self.settings).host_key}")]
        if account is None or (found.mode, found.owner) != (_KEY_MODE, account.owner):
            return [Drift(str(HOST_KEY), f"is not readable by {self.settings.user} alone, which sshd asks for")]
        return []

    def _check_config(self, files: Tree) -> list[Drift]:
        try:
            authorized = self._authorized_keys(files)
        except KeyFileError as error:
            return [*managed.check([self._config(files)]), Drift(str(AUTHORIZED_KEYS), str(error))]
        return managed.check([self._config(files), authorized])

    def _config(self, files: Tree) -> ManagedFile:
        # With on_demand, systemd has the other ones.
        addresses = (listen.LOOPBACK,) if self.settings.on_demand else listen.addresses(self.settings)
        body = render.template(
            "sshd_config.j2",
            user=self.settings.user,
            port=self.settings.sshd_port,
            addresses=addresses,
            ipv6=any(map(listen.is_ipv6, addresses)),
            host_key=HOST_KEY,
            authorized_keys=AUTHORIZED_KEYS,
            environment=session_environment(),
        )
        return ManagedFile(files, SSHD_CONFIG, body)

    def _authorized_keys(self, files: Tree) -> ManagedFile:
        keys = [*self._ring.valid(Role.USER), *Clients(self.settings, self.world.host).admitted()]
        body = "".join(f"restrict {key.text}\n" for key in keys)
        return ManagedFile(files, AUTHORIZED_KEYS, body)

    def _validate(self, config: str) -> None:
        complaint = self.world.ssh.config_errors(config, Paths(self.settings).host_key)
        if complaint:
            raise BuilderError(
                f"the host's sshd refuses the configuration made for the guest's: {complaint}",
                hint="nothing was changed; please report this with the output of «sshd -V»",
            )


def session_environment() -> Mapping[str, str]:
    """Give what sshd sets for every session: it finds Nix, and Nix finds its configuration and certificates."""
    return {
        "PATH": f"{GUEST_PROFILE}/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "NIX_CONF_DIR": str(NIX_CONF.parent),
        "NIX_SSL_CERT_FILE": str(CA_BUNDLE),
    }


def _check_directory(files: Tree) -> Iterator[Drift]:
    found: Attributes | None = files.attributes(GUEST_ETC)
    if found is None:
        yield Drift(str(GUEST_ETC), "absent")
    elif (found.kind, found.mode, found.owner) != (Kind.DIRECTORY, _DIRECTORY_MODE, ROOT):
        yield Drift(str(GUEST_ETC), "is not a directory of root's that all can read")
