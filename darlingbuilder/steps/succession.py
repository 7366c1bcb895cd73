"""The next key, put beside the one that it is to follow: made here, or brought from where others keep it."""

import os
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.sshclient import Client
from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair, machines
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.machines import Machine
from darlingbuilder.core.paths import Paths, next_of
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import walls
from darlingbuilder.steps.keyring import OUR_COMMENT, Keyring, Role

_KEY_MODE = 0o600
# A copy needs no more than that nobody else could read it. A credential's group stands for an ACL of systemd's.
_OPEN = 0o077
_OPEN_CREDENTIAL = 0o007
_CREDENTIALS = Path("/run/credentials")
# Whatever writes a link to here writes it again.
_DECLARED = (Path("/nix/store"), Path("/etc/static"))


@dataclass(frozen=True, slots=True)
class Succession:
    """What may follow the key of ``role``; nothing is replaced here.

    One may ask before whether it will do: that only looks, and what makes the next key looks again.
    """

    settings: Settings
    world: World
    role: Role

    def refuse_keeper(self) -> None:
        """Raise KeyFileError where others keep the key in use, and one of ours is not to follow it."""
        if self._ring.coming(self.role):
            return
        keypair.needed(self.world.host, self._path)
        if not self._ring.is_ours(self._path):
            raise KeyFileError(
                f"{self._path} is {self._whose()}, and is not replaced by one of ours",
                hint="have a new one made there where it comes from, and bring that in: "
                f"darlingbuilder keys import --{self.role.value} FILE",
            )

    def generate(self) -> None:
        """Make the next key, unless one is there already. Raises KeyFileError where others keep the one in use."""
        self.refuse_keeper()
        if self._ring.coming(self.role):
            return
        private = keypair.generate(f"{OUR_COMMENT}{os.uname().nodename}")
        self.world.host.create(next_of(self._path), private, mode=_KEY_MODE, owner=ROOT)

    def would_follow(self, file: Path, *, copy: bool) -> bool:
        """Whether the key in ``file`` can be the next one; false if it is in use already. Raises KeyFileError."""
        key = self._examined(file, linked=not (copy or _is_credential(file)))
        self._refuse_path_of_others()
        if self._is_in_use(file, key.text, copy=copy):
            return False
        coming = self._ring.coming(self.role)
        if coming and coming.text != key.text:
            raise KeyFileError(
                f"{self._path} is being replaced by another key already",
                hint=f"finish that first: darlingbuilder keys rotate --{self.role.value}",
            )
        return True

    def bring(self, file: Path, *, copy: bool) -> bool:
        """Make the key in ``file`` the next one: by a link to where it is kept, or by a ``copy``.

        Gives false if it is the one in use already. Raises KeyFileError. A credential of systemd's is always copied:
        it goes when its service ends.
        """
        wanted = self.would_follow(file, copy=copy)
        if wanted and self._ring.coming(self.role) is None:
            self._put_beside(file, copy=copy or _is_credential(file))
        return wanted

    def refuse_foreign_pin(self) -> None:
        """Raise KeyFileError where a configuration of others pins the old host key, and would not know the next."""
        if self.role is not Role.HOST or self.settings.register:
            return
        registered = self._registered()
        if registered and registered.host_key:
            raise KeyFileError(
                f"the machines line of {self.settings.names.alias}, which is not ours, pins the host key in use",
                hint="leave the key out of it (NixOS: no publicHostKey), which leaves it to ssh and to "
                f"{Paths(self.settings).known_hosts}; then again",
            )
        known = Client(self.settings.names.alias).effective().get("userknownhostsfile", "") if registered else None
        if known is not None and str(Paths(self.settings).known_hosts) not in known.split():
            raise KeyFileError(
                f"ssh looks for the host key of {self.settings.names.alias} in {known}, which is not ours",
                hint=f"name ours in the alias: UserKnownHostsFile {Paths(self.settings).known_hosts}; then again",
            )

    @property
    def _ring(self) -> Keyring:
        return Keyring(self.settings, self.world.host)

    @property
    def _path(self) -> Path:
        return self._ring.path(self.role)

    def _whose(self) -> str:
        if target := self.world.host.link(self._path):
            return f"kept elsewhere ({target})"
        return "a copy of a key that was brought in" if self._ring.is_imported(self._path) else "a key of your own"

    def _is_in_use(self, file: Path, text: str, *, copy: bool) -> bool:
        current = keypair.read(self.world.host, self._path)
        if current is None or current.text != text or self._ring.coming(self.role):
            return False
        wanted = None if copy or _is_credential(file) else str(self.world.host.real(file))
        return self.world.host.link(self._path) == wanted

    def _refuse_path_of_others(self) -> None:
        target = self.world.host.link(self._path)
        if target and any(Path(target).is_relative_to(place) for place in _DECLARED):
            raise KeyFileError(
                f"{self._path} is a link to {target}, which the system's configuration makes",
                hint="change it there",
            )
        taken = self.world.host.attributes(self._path) is not None and target is None
        if taken and not (self._ring.is_ours(self._path) or self._ring.is_imported(self._path)):
            raise KeyFileError(
                f"{self._path} is a key of your own, and is never replaced",
                hint="keep it elsewhere and bring in that: move it away, darlingbuilder init, then "
                f"darlingbuilder keys import --{self.role.value} FILE",
            )

    def _put_beside(self, file: Path, *, copy: bool) -> None:
        host, path = self.world.host, next_of(self._path)
        if copy:
            host.create(path, host.read(file) or b"", mode=_KEY_MODE, owner=ROOT)
        else:
            host.write_link(path, str(host.real(file)), owner=ROOT)

    def _examined(self, file: Path, *, linked: bool) -> keypair.PublicKey:
        """See that ``file`` is a key that root alone holds, and that ssh takes. Raises KeyFileError.

        Where it is to be ``linked`` to, serve has to see it, too.
        """
        resolved = self._ring.kept_at(file)
        if resolved in {self._path, next_of(self._path)}:
            raise KeyFileError(f"{file} is the builder's own key", hint="name the file that others keep")
        found, hint = (
            self.world.host.attributes(resolved),
            "name the file of an ed25519 private key in OpenSSH's format",
        )
        if found is None or found.kind is not Kind.FILE:
            raise KeyFileError(f"{file}: {'is absent' if found is None else f'is a {found.kind.value}'}", hint=hint)
        content = self.world.host.read(file)
        try:
            key = keypair.public_of(content or b"")
        except ValueError as error:
            raise KeyFileError(f"{file}: {error}", hint=f"{hint}: ssh-keygen -t ed25519 -N ''") from error
        if found.mode & (_OPEN_CREDENTIAL if _is_credential(file) else _OPEN):
            raise KeyFileError(
                f"{file}: mode is {found.mode:04o}, so that others may have read it, and ssh refuses it",
                hint="make a new one that root alone may read (mode 0400), and have it kept so",
            )
        if found.owner.uid != ROOT.uid or any(map(self._is_in_reach_of_guest, (file, resolved))):
            raise KeyFileError(
                f"{file}: user {found.owner.uid} or the guest could put another key there",
                hint="keep it where root alone may write",
            )
        if linked:
            self._refuse_hidden(file)
        return key

    def _refuse_hidden(self, file: Path) -> None:
        if any(walls.hides(self.settings, path) for path in (file, self._ring.kept_at(file))):
            raise KeyFileError(
                f"{file}: lies in a home or among temporary files, which the builder's service does not see",
                hint=f"have a copy taken: darlingbuilder keys import --{self.role.value} FILE --copy; or keep it "
                "elsewhere, below /etc say",
            )

    def _is_in_reach_of_guest(self, file: Path) -> bool:
        paths = Paths(self.settings)
        return any(file.is_relative_to(place) for place in (paths.prefix.parent, paths.nix))

    def _registered(self) -> Machine | None:
        builders = str(self.world.nix.settings().get("builders", ""))
        return machines.find(machines.expand(builders, self._text).entries, self.settings.names.alias)

    def _text(self, path: Path) -> str | None:
        content = self.world.host.read(path)
        return None if content is None else content.decode(errors="replace")


def _is_credential(file: Path) -> bool:
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    return any(file.is_relative_to(place) for place in (_CREDENTIALS, *([Path(named)] if named else [])))
