"""Which keys there are: the one in use on each side and, while it is being replaced, the next."""

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core import keypair
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.note import Note
from darlingbuilder.core.paths import Paths, next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree

OUR_COMMENT = "darling-builder@"
# In the public half of a copy that we took of somebody's key; the private one stays as it was given to us.
IMPORTED_COMMENT = "darling-builder-import@"


class Role(enum.Enum):
    """What a key is for."""

    USER = "user"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys on the host. A next one lies beside the key whose place it takes: as long as it is there, both count.

    Everything else follows from these files: who may log in, and what is pinned. So whoever looks at them, an «init»
    that comes in between too, does what is right at that moment of a rotation.
    """

    settings: Settings
    host: Tree

    def path(self, role: Role) -> Path:
        """Name the private key that is in use."""
        paths = Paths(self.settings)
        return paths.key if role is Role.USER else paths.host_key

    def kept_at(self, path: Path) -> Path:
        """Name the file that ``path`` comes to: managers of secrets keep links to theirs."""
        root, found = (Path(os.path.realpath(name)) for name in (self.host.root, self.host.real(path)))
        return Path("/") / found.relative_to(root) if found.is_relative_to(root) else found

    def coming(self, role: Role) -> PublicKey | None:
        """Give the public half of the next key; None if none is about to come. Raises KeyFileError."""
        return keypair.read(self.host, next_of(self.path(role)))

    def valid(self, role: Role) -> list[PublicKey]:
        """List the keys that count, the one in use first. Raises KeyFileError, also where that one is absent."""
        current, coming = keypair.needed(self.host, self.path(role)), self.coming(role)
        return [current, coming] if coming and coming.text != current.text else [current]

    def contents(self, role: Role) -> list[bytes]:
        """Give the private keys that count, as they are written. Raises KeyFileError likewise."""
        self.valid(role)
        found = (self.host.read(path) for path in (self.path(role), next_of(self.path(role))))
        return [content for content in found if content is not None]

    def pinned_lines(self) -> list[str]:
        """Give the lines of the host keys that are pinned, the one in use as its .pub file says it; none without it.

        A next key that cannot be read is left out: it is drift of the keys, and nobody shows it.
        """
        written = self.host.read(public_half(self.path(Role.HOST)))
        if written is None:
            return []
        line = written.decode(errors="replace")
        try:
            coming = self.coming(Role.HOST)
        except KeyFileError:
            coming = None
        return [line, *([coming.line] if coming and coming.text not in line else [])]

    def is_ours(self, path: Path) -> bool:
        """Whether ``path`` is a key with our comment, not a link or another's key that we were told to use."""
        key = self._lying_at(path)
        return key is not None and key.comment.startswith(OUR_COMMENT)

    def is_imported(self, path: Path) -> bool:
        """Whether ``path`` is a copy that we took of another's key."""
        key, written = self._lying_at(path), keypair.written_public(self.host.read(public_half(path)))
        marked = written is not None and written.comment.startswith(IMPORTED_COMMENT)
        return key is not None and written is not None and marked and written.text == key.text

    def _lying_at(self, path: Path) -> PublicKey | None:
        """Give the key of the file ``path``; None if it is a link, or none that can be used."""
        found = self.host.attributes(path)
        try:
            return keypair.read(self.host, path) if found and found.kind is Kind.FILE else None
        except KeyFileError:
            return None


def has_our_mark(written: PublicKey | None) -> bool:
    """Whether the public half ``written`` has a comment that we give: to a key of ours, or to a copy that we took."""
    return written is not None and written.comment.startswith((OUR_COMMENT, IMPORTED_COMMENT))


def notes(settings: Settings, host: Tree) -> list[Note]:
    """Say which keys are half replaced: nothing is wrong then, but the old key still counts."""
    ring = Keyring(settings, host)
    return [
        Note(
            str(ring.path(role)),
            f"the {role.value} key is being replaced; the old and the next one both count",
            hint=f"go on with it: darlingbuilder keys rotate --{role.value}",
        )
        for role in Role
        if host.attributes(next_of(ring.path(role)))
    ]
