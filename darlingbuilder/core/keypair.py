"""Ed25519 keys in OpenSSH's format: made by ``cryptography``, read without it.

An unencrypted private key carries its public half in the clear (OpenSSH's PROTOCOL.key), so looking at a key costs
no import of a cryptographic library.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.tree import Tree

_TYPE = b"ssh-ed25519"
_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_END = b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_PUBLIC_BYTES = 32
_SEED_AND_PUBLIC_BYTES = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An ed25519 public key: the «ssh-ed25519 AAAA…» that files and options hold, and its comment."""

    text: str
    comment: str

    @property
    def line(self) -> str:
        """The content of a .pub file; sshd and Nix want its newline."""
        return f"{self.text} {self.comment}".rstrip() + "\n"

    @property
    def is_whole(self) -> bool:
        """Whether the encoded key is what its type says; a line of a file may hold anything."""
        try:
            fields = _Fields(base64.b64decode(self.text.partition(" ")[2], validate=True))
            return fields.string().decode() == self.kind
        except ValueError:
            return False

    @property
    def kind(self) -> str:
        """The type of the key, as ssh names it."""
        return self.text.partition(" ")[0]

    @property
    def fingerprint(self) -> str:
        """The key's SHA-256, as ssh-keygen and sshd's log show it."""
        digest = hashlib.sha256(base64.b64decode(self.text.partition(" ")[2])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def generate(comment: str) -> bytes:
    """Make a private key, in OpenSSH's format and without a passphrase."""
    # Takes 50 ms, which only the first init has to spend.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return _with_comment(pem, comment)


def read(tree: Tree, path: Path) -> PublicKey | None:
    """Give the public half of the private key at ``path``; None if nothing is there. Raises KeyFileError."""
    try:
        found = tree.attributes(path)
        content = tree.read(path)
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot be read: {error.strerror}", hint="run as root, or restore the file from a backup"
        ) from error
    if found is None:
        return None
    if content is None:
        what = "a link that leads nowhere" if found.kind is Kind.LINK else f"a {found.kind.value}, not a file"
        raise KeyFileError(f"{path}: is {what}", hint="put the private key there, or remove what is there")
    try:
        return public_of(content)
    except ValueError as error:
        raise KeyFileError(
            f"{path}: {error}",
            hint="put an ed25519 key without a passphrase there (ssh-keygen -t ed25519 -N ''), choose another "
            "path, or move the file away for a new key to be made; it is never replaced",
        ) from error


def needed(tree: Tree, path: Path) -> PublicKey:
    """Give the public half of the private key at ``path``. Raises KeyFileError, also where nothing is there."""
    key = read(tree, path)
    if key is None:
        raise KeyFileError(f"{path}: is absent", hint="run the whole «darlingbuilder init», which makes it")
    return key


def public_of(private: bytes) -> PublicKey:
    """Give the public half of a private key. Raises ValueError that says why it is none that we can use."""
    fields = _Fields(_decoded(private))
    if fields.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("is a damaged OpenSSH private key")
    cipher, _kdf, _kdf_options, count = fields.string(), fields.string(), fields.string(), fields.number()
    public, secret = fields.string(), fields.string()
    if cipher != b"none":
        raise ValueError("is protected by a passphrase, which no service can type")
    kind = _Fields(public).string()
    if kind != _TYPE:
        raise ValueError(f"is of type {kind.decode('ascii', 'replace')}, not {_TYPE.decode()}")
    if count != 1:
        raise ValueError(f"holds {count} keys, not one")
    return PublicKey(f"{_TYPE.decode()} {base64.b64encode(public).decode()}", _comment(public, secret))


def written_public(content: bytes | None) -> PublicKey | None:
    """Read the first line of a .pub file; None if it is not a public key at all."""
    try:
        kind, key, *comment = (content or b"").decode().splitlines()[0].split(maxsplit=2)
    except (ValueError, IndexError):
        return None
    return PublicKey(f"{kind} {key}", comment[0].strip() if comment else "")


@dataclass(slots=True)
class _Fields:
    """The fields of SSH's wire format (RFC 4251), taken one after the other."""

    rest: bytes

    def take(self, length: int) -> bytes:
        if length > len(self.rest):
            raise ValueError("is a damaged OpenSSH private key")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())


def _decoded(private: bytes) -> bytes:
    lines = private.strip().splitlines()
    if not lines or lines[0].strip() != _BEGIN:
        other = b"-----BEGIN" in private
        raise ValueError("is a private key of another format than OpenSSH's" if other else "is not a private key")
    if lines[-1].strip() != _END:
        raise ValueError("is cut short: its last line is missing")
    try:
        return base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error:
        raise ValueError("is a damaged OpenSSH private key") from None


def _comment(public: bytes, secret: bytes) -> str:
    """Give the comment that the secret part ends with, having seen that both parts are of one key."""
    fields = _Fields(secret)
    if fields.number() != fields.number():
        raise ValueError("is a damaged OpenSSH private key")
    kind, key, both = fields.string(), fields.string(), fields.string()
    same = public == _string(kind) + _string(key) and both[_PUBLIC_BYTES:] == key
    if not same or len(key) != _PUBLIC_BYTES or len(both) != _SEED_AND_PUBLIC_BYTES:
        raise ValueError("is a damaged OpenSSH private key: its two halves are not of one key")
    return " ".join(fields.string().decode(errors="replace").split())


def _with_comment(pem: bytes, comment: str) -> bytes:
    """Put ``comment`` into the private key, as ssh-keygen does; ``cryptography`` writes an empty one."""
    outer = _Fields(_decoded(pem))
    head = outer.take(len(_MAGIC)) + b"".join(_string(outer.string()) for _ in range(3))
    head += outer.take(4) + _string(outer.string())
    inner = _Fields(outer.string())
    secret = inner.take(8) + b"".join(_string(inner.string()) for _ in range(3)) + _string(comment.encode())
    # Padded with 1, 2, 3 … to the block size of the cipher, which is 8 for none.
    secret += bytes(range(1, 1 + -len(secret) % 8))
    text = base64.b64encode(head + _string(secret))
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return b"\n".join((_BEGIN, *lines, _END, b""))


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content
