"""The clients: other machines that may build here, each known by its name and one public key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core import clientkey
from darlingbuilder.core.errors import BuilderError, KeyFileError, UsageError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.note import Note
from darlingbuilder.core.paths import Paths, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.keyring import Keyring, Role

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_SUFFIX = public_half(Path("/key")).suffix
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client. ``key``: None where its file cannot be used, and ``error`` says why; ``since``: epoch seconds."""

    name: str
    path: Path
    key: PublicKey | None
    since: float
    error: str


@dataclass(frozen=True, slots=True)
class Clients:
    """The files of the clients' keys: who has one there is let in by the guest's sshd (see Sshd).

    A file that cannot be used lets in nobody, and is remarked on: it must not keep the builder from serving the rest.
    """

    settings: Settings
    host: Tree

    def listed(self) -> list[KnownClient]:
        """List them by their names."""
        files = [name for name in self.host.names(self._directory) if name.endswith(_SUFFIX)]
        return [self._read(name.removesuffix(_SUFFIX)) for name in files]

    def admitted(self) -> list[PublicKey]:
        """List the keys that let somebody in."""
        return [client.key for client in self.listed() if client.key]

    def add(self, name: str, key: PublicKey) -> bool:
        """Keep ``key`` as that of ``name``; false if it is so already. Raises BuilderError where it must not be."""
        if not _NAME.match(name):
            raise UsageError(
                f"{name!r} is no name for a client",
                hint="letters, digits and . _ - after the first, at most 63, such as its host name",
            )
        known = {client.name: client for client in self.listed()}
        if name in known and (there := known[name].key) and there.text == key.text:
            return False
        self._refuse_taken(name, key, list(known.values()))
        self.host.create(self._path(name), key.line.encode(), mode=0o644, owner=ROOT)
        return True

    def remove(self, name: str) -> KnownClient:
        """Forget ``name``. Raises BuilderError if there is no such client."""
        known = {client.name: client for client in self.listed()}
        if name not in known:
            raise BuilderError(f"there is no client {name!r}", hint="see which there are: darlingbuilder client list")
        self.host.remove(known[name].path)
        self.host.remove_if_empty(self._directory)
        return known[name]

    def forget(self) -> None:
        """Forget all of them. Succeeds if there is none."""
        self.host.remove(self._directory)

    @property
    def _directory(self) -> Path:
        return Paths(self.settings).clients

    def _path(self, name: str) -> Path:
        return public_half(self._directory / name)

    def _read(self, name: str) -> KnownClient:
        path = self._path(name)
        found, content, key, error = self.host.attributes(path), self.host.read(path), None, ""
        try:
            key = clientkey.handed_in(content or b"", str(path))
        except KeyFileError as refused:
            error = str(refused).removeprefix(f"{path}: ")
        return KnownClient(name, path, key, found.mtime_ns / _NANOSECONDS if found else 0.0, error)

    def _refuse_taken(self, name: str, key: PublicKey, known: Sequence[KnownClient]) -> None:
        if any(client.name == name for client in known):
            raise BuilderError(
                f"there is a client {name!r} already, with another key",
                hint=f"choose another name; or, to replace its key, first: darlingbuilder client remove {name}",
            )
        # Else its removal under one name would leave it its access under the other.
        for other in known:
            if other.key and other.key.text == key.text:
                raise BuilderError(
                    f"this key is that of the client {other.name!r} already",
                    hint="let each client make a key of its own: ssh-keygen -t ed25519 -N ''",
                )
        if any(own.text == key.text for own in Keyring(self.settings, self.host).valid(Role.USER)):
            raise BuilderError(
                "this is the key of this machine itself, which can log in anyway",
                hint="keep its private half here, and let each client make one: ssh-keygen -t ed25519 -N ''",
            )


def notes(settings: Settings, host: Tree) -> list[Note]:
    """Name the clients whose key cannot be used."""
    return [
        Note(
            str(client.path),
            f"{client.error}, so the client {client.name} is not let in",
            hint=f"darlingbuilder client remove {client.name}, then add it anew",
        )
        for client in Clients(settings, host).listed()
        if client.key is None
    ]
