"""A client's public key as somebody hands it in: one line, strong enough, and of a type that sshd 8.1 takes."""

import base64
import binascii
import struct
from collections.abc import Mapping

from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.keypair import PublicKey

# Each with how many fields its encoding has after the type's name (RFC 4253, 5656, 8709). OpenSSH 8.1p1, a stock
# Darling's, takes no others: sk-… came with 8.2, and ssh-dss is off.
_FIELDS: Mapping[str, int] = {
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "ssh-rsa": 2,
}
SMALLEST_RSA = 2048
_ED25519_BYTES = 32
_MAKE_ONE = "on the client: ssh-keygen -t ed25519 -N '' -f FILE, and hand in FILE.pub"


def handed_in(content: bytes, where: str) -> PublicKey:
    """Read the one public key in ``content``, which came from ``where``. Raises KeyFileError."""
    if b"-----BEGIN" in content:
        raise KeyFileError(
            f"{where}: is a private key, which belongs on the client alone",
            hint="hand in the file beside it that ends in .pub; and make a new key if others have seen this one",
        )
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1:
        raise KeyFileError(
            f"{where}: holds {len(lines)} keys, not one",
            hint="a client has one key, and each client a name of its own; " + _MAKE_ONE,
        )
    return _of_line(lines[0], where)


def _of_line(line: str, where: str) -> PublicKey:
    kind, _, rest = line.partition(" ")
    if kind not in _FIELDS:
        raise _refused_kind(line, kind, where)
    encoded, _, comment = rest.strip().partition(" ")
    try:
        fields = _fields(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, struct.error):
        fields = []
    if len(fields) != 1 + _FIELDS[kind] or fields[0] != kind.encode() or not _is_sound(kind, fields[1:]):
        raise KeyFileError(f"{where}: is a damaged {kind} key", hint=f"hand in the whole line; or {_MAKE_ONE}")
    if kind == "ssh-rsa" and (bits := int.from_bytes(fields[2], "big").bit_length()) < SMALLEST_RSA:
        raise KeyFileError(f"{where}: is an RSA key of {bits} bits, fewer than {SMALLEST_RSA}", hint=_MAKE_ONE)
    shown = "".join(letter for letter in comment if letter.isprintable())
    return PublicKey(f"{kind} {encoded}", " ".join(shown.split()))


def _refused_kind(line: str, kind: str, where: str) -> KeyFileError:
    if any(f" {known} " in f"{line} " for known in _FIELDS):
        return KeyFileError(
            f"{where}: has options before the key",
            hint="leave them out: every client's key is restricted to what a build needs",
        )
    if "-" in kind and kind.isascii():
        return KeyFileError(
            f"{where}: is of type {kind[:60]}, which the guest's sshd does not take (8.1p1 in a stock Darling)",
            hint=f"it takes {', '.join(_FIELDS)}; {_MAKE_ONE}",
        )
    return KeyFileError(f"{where}: is no public key of ssh's", hint=_MAKE_ONE)


def _fields(blob: bytes) -> list[bytes]:
    """Take apart an encoded key: fields one after the other, each with its length before it (RFC 4251)."""
    found = []
    while blob:
        (length,) = struct.unpack(">I", blob[:4])
        if length > len(blob) - 4:
            raise ValueError("cut short")
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return found


def _is_sound(kind: str, fields: list[bytes]) -> bool:
    if kind == "ssh-ed25519":
        return len(fields[0]) == _ED25519_BYTES
    # A curve is named once more; RSA has an exponent and a modulus.
    return bool(fields[1]) and (kind == "ssh-rsa" or fields[0].decode(errors="replace") == kind.rpartition("-")[2])
