"""The two keys that pin the connection: the host's own, and that of the guest's sshd."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair, managed
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import Paths, next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import walls
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keyring import OUR_COMMENT, Keyring, Role, has_our_mark

_DIRECTORY_MODE = 0o700
# ssh takes a key that nobody else can read; one that is even stricter is somebody's choice.
_PRIVATE_MODES = (0o600, 0o400)
_PUBLIC_MODES = (0o644,)


@dataclass(frozen=True, slots=True)
class Keys:
    """Both private keys with their public halves, and the known_hosts file that pins the guest's.

    A private key is never replaced here; one that is about to be (see Rotation) has the next one beside it, and
    known_hosts then pins both. ``purge``: ``revert`` removes the keys, too, if they are ours.
    """

    settings: Settings
    world: World
    purge: bool = False
    name: ClassVar[str] = "keys"

    def check(self) -> list[Drift]:
        """See Step."""
        return [
            *self._check_directory(),
            *(drift for path in self._private for drift in self._check_pair(path)),
            *(drift for path in self._private for drift in self._check_next(next_of(path))),
            *self._check_known_hosts(),
        ]

    def apply(self) -> None:
        """See Step. Raises KeyFileError if a private key is there that cannot be used; nothing is changed then."""
        present = {path: keypair.read(self.world.host, path) for path in self._private}
        coming = [next_of(self._ring.path(role)) for role in Role if self._ring.coming(role)]
        for path in (*present, *coming):
            self._refuse_hidden(path)
        self.world.host.make_directory(self._paths.host_key.parent, mode=_DIRECTORY_MODE, owner=ROOT)
        keys = {path: key or self._create(path) for path, key in present.items()}
        for path, key in keys.items():
            self._converge_public(path, key)
            self._converge_attributes(path, _PRIVATE_MODES)
            self._converge_attributes(public_half(path), _PUBLIC_MODES)
        for path in coming:
            self._converge_attributes(path, _PRIVATE_MODES)
        managed.converge([self._known_hosts(self._ring.valid(Role.HOST))])

    def revert(self) -> None:
        """See Step."""
        host = self.world.host
        managed.withdraw(host, [self._paths.known_hosts])
        # Access that was given to a builder ends with it: the next one is not to let in anybody unasked.
        Clients(self.settings, host).forget()
        for path in self._private if self.purge else ():
            self._purge(path)
        for path in map(next_of, self._private):
            # A copy or a link that «keys» has put there; what anybody else put there was taken for one, and admitted.
            # No guest knows it any longer, so it opens nothing.
            if (found := host.attributes(path)) and found.kind in {Kind.FILE, Kind.LINK}:
                host.remove(path)
        self.sweep()
        if self.purge:
            host.remove_if_empty(self._paths.host_key.parent)

    def sweep(self) -> None:
        """Remove the copies of keys that killed writers have left beside them."""
        for private in self._private:
            for path in (private, public_half(private), next_of(private)):
                self.world.host.sweep(path)

    def _purge(self, path: Path) -> None:
        """Remove a pair of ours, so that at every moment what is left tells whose it is."""
        host, ring, public = self.world.host, self._ring, public_half(path)
        # A link among our own files was put there by «keys import»; what it leads to is not ours.
        linked = path == self._paths.host_key and host.link(path) is not None
        if ring.is_imported(path):
            # Its mark is in the public half.
            host.remove(path)
        if linked or ring.is_ours(path) or self._is_arriving(path):
            host.remove(public)
            host.remove(path)
        elif has_our_mark(keypair.written_public(host.read(public))):
            host.remove(public)

    def _is_arriving(self, path: Path) -> bool:
        """Whether ``path`` is a copy of the next key that was just put in its place, and is not marked as one yet."""
        found, content = self.world.host.attributes(path), self.world.host.read(path)
        is_file = found is not None and found.kind is Kind.FILE
        return is_file and content is not None and content == self.world.host.read(next_of(path))

    @property
    def _paths(self) -> Paths:
        return Paths(self.settings)

    @property
    def _ring(self) -> Keyring:
        return Keyring(self.settings, self.world.host)

    @property
    def _private(self) -> tuple[Path, Path]:
        return (self._paths.key, self._paths.host_key)

    def _check_directory(self) -> list[Drift]:
        directory = self._paths.host_key.parent
        found = self.world.host.attributes(directory)
        if found is None or (found.kind, found.mode, found.owner) == (Kind.DIRECTORY, _DIRECTORY_MODE, ROOT):
            return []
        return [Drift(str(directory), "is not a directory that root alone may enter")]

    def _check_pair(self, path: Path) -> list[Drift]:
        try:
            key = keypair.read(self.world.host, path)
        except KeyFileError as error:
            return [Drift(str(path), str(error).removeprefix(f"{path}: "))]
        if key is None:
            return [Drift(str(path), "absent")]
        drift = [*self._check_hidden(path), *self._check_attributes(path, _PRIVATE_MODES)]
        public = public_half(path)
        content = self.world.host.read(public)
        if content is None:
            return [*drift, Drift(str(public), "absent")]
        if not _is_line_of(key, content):
            return [*drift, Drift(str(public), "is not the public half of the private key")]
        return drift + self._check_attributes(public, _PUBLIC_MODES)

    def _check_next(self, path: Path) -> list[Drift]:
        try:
            keypair.read(self.world.host, path)
        except KeyFileError as error:
            return [Drift(str(path), str(error).removeprefix(f"{path}: "))]
        return [*self._check_hidden(path), *self._check_attributes(path, _PRIVATE_MODES)]

    def _hidden_target(self, path: Path) -> Path | None:
        """Name what the link ``path`` leads to, if serve does not see it; one about to be replaced is let go."""
        if self.world.host.link(path) is None or self.world.host.attributes(next_of(path)):
            return None
        target = self._ring.kept_at(path)
        return target if walls.hides(self.settings, target) else None

    def _check_hidden(self, path: Path) -> list[Drift]:
        target = self._hidden_target(path)
        return [Drift(str(path), f"leads to {target}, which the builder's service does not see")] if target else []

    def _refuse_hidden(self, path: Path) -> None:
        if target := self._hidden_target(path):
            raise KeyFileError(
                f"{path}: leads to {target}, which the builder's service does not see",
                hint=f"put the key itself there: cp --preserve=mode --remove-destination {target} {path}; "
                "or keep it elsewhere than in a home or among temporary files",
            )

    def _check_attributes(self, path: Path, modes: tuple[int, ...]) -> list[Drift]:
        found = self.world.host.attributes(path)
        # What a link leads to is kept by whoever made the link (NixOS with its secrets, say).
        if found is None or found.kind is Kind.LINK:
            return []
        if found.mode not in modes:
            return [Drift(str(path), f"mode is {found.mode:04o}, should be {modes[0]:04o}")]
        if found.owner != ROOT:
            return [Drift(str(path), f"belongs to {found.owner.uid}:{found.owner.gid}, should be root's")]
        return []

    def _check_known_hosts(self) -> list[Drift]:
        try:
            keys = self._ring.valid(Role.HOST)
        except KeyFileError:
            return [Drift(str(self._paths.known_hosts), "cannot be made yet: there is no host key")]
        return managed.check([self._known_hosts(keys)])

    def _create(self, path: Path) -> PublicKey:
        private = keypair.generate(f"{OUR_COMMENT}{os.uname().nodename}")
        try:
            self.world.host.create(path, private, mode=_PRIVATE_MODES[0], owner=ROOT)
        except FileExistsError:
            raise KeyFileError(
                f"{path}: somebody else made it at this moment", hint="run «darlingbuilder init» again to use it"
            ) from None
        return keypair.public_of(private)

    def _converge_public(self, path: Path, key: PublicKey) -> None:
        public = public_half(path)
        content = self.world.host.read(public)
        if not _is_line_of(key, content):
            line = _line_with_kept_comment(key, content)
            self.world.host.write(public, line.encode(), mode=_PUBLIC_MODES[0], owner=ROOT)

    def _converge_attributes(self, path: Path, modes: tuple[int, ...]) -> None:
        if self._check_attributes(path, modes):
            self.world.host.set_attributes(path, mode=modes[0], owner=ROOT)

    def _known_hosts(self, keys: list[PublicKey]) -> ManagedFile:
        text = "".join(f"{self.settings.names.alias} {key.text}\n" for key in keys)
        return ManagedFile(self.world.host, self._paths.known_hosts, text)


def _is_line_of(key: PublicKey, content: bytes | None) -> bool:
    """Whether ``content`` is the one whole line of ``key``, whatever its comment."""
    written = keypair.written_public(content)
    return written is not None and written.text == key.text and written.line.encode() == content


def _line_with_kept_comment(key: PublicKey, content: bytes | None) -> str:
    written = keypair.written_public(content)
    return written.line if written and written.text == key.text else key.line
