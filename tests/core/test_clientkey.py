"""What is taken for a client's key, and what is refused with what to do about it."""

import base64
import shutil
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import clientkey, keypair
from darlingbuilder.core.errors import KeyFileError

GOOD = keypair.public_of(keypair.generate("me@laptop")).line
ENCODED = GOOD.split()[1]
TYPES = {
    "ed25519": ("-t", "ed25519"),
    "ecdsa": ("-t", "ecdsa", "-b", "384"),
    "rsa": ("-t", "rsa", "-b", "2048"),
}
needs_ssh_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="it makes the keys")


def encoded(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


def rsa(bits: int) -> str:
    modulus = (1 << (bits - 1)) + 1
    return f"ssh-rsa {encoded(b'ssh-rsa', bytes([1, 0, 1]), modulus.to_bytes(bits // 8 + 1, 'big'))}"


@needs_ssh_keygen
@pytest.mark.parametrize("kind", TYPES)
def test_the_keys_of_ssh_keygen_are_taken(kind: str, tmp_path: Path) -> None:
    process.run("ssh-keygen", "-q", *TYPES[kind], "-N", "", "-C", "me and my laptop", "-f", str(tmp_path / "key"))
    line = (tmp_path / "key.pub").read_bytes()

    key = clientkey.handed_in(line, "key.pub")

    assert key.line.encode() == line
    assert key.comment == "me and my laptop"
    assert key.fingerprint in process.run("ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")).stdout


def test_comments_and_empty_lines_around_it_do_not_matter() -> None:
    assert clientkey.handed_in(f"# mine\n\n  {GOOD}\n".encode(), "x").line == GOOD


def test_a_comment_that_a_terminal_would_obey_is_made_harmless() -> None:
    key = clientkey.handed_in(f"ssh-ed25519 {ENCODED} \x1b[2J me\x07\n".encode(), "x")

    assert key.comment == "[2J me"


@pytest.mark.parametrize(
    ("content", "complaint", "remedy"),
    [
        (keypair.generate("me").decode(), "is a private key", "ends in .pub"),
        ("", "holds 0 keys", "ssh-keygen -t ed25519"),
        (GOOD + GOOD, "holds 2 keys", "a name of its own"),
        (f'command="sh" {GOOD}', "has options before the key", "restricted"),
        (f"no-pty,{GOOD}", "is of type no-pty,ssh-ed25519", "ssh-keygen"),
        (f"sk-ssh-ed25519@openssh.com {ENCODED}", "does not take", "ssh-ed25519"),
        (f"ssh-dss {ENCODED}", "does not take", "ssh-keygen"),
        (f"ssh-ed25519-cert-v01@openssh.com {ENCODED}", "does not take", "ssh-keygen"),
        (rsa(1024), "1024 bits, fewer than 2048", "ssh-keygen"),
        (f"ssh-ed25519 {ENCODED[:-8]}", "is a damaged", "whole line"),
        ("ssh-ed25519", "is a damaged", "whole line"),
        ("ssh-ed25519 not/base64!", "is a damaged", "whole line"),
        (f"ssh-rsa {ENCODED}", "is a damaged", "whole line"),
        (f"ecdsa-sha2-nistp256 {encoded(b'ecdsa-sha2-nistp256', b'nistp384', b'x')}", "is a damaged", "whole line"),
        ("hello world", "is no public key", "ssh-keygen"),
    ],
    ids=[
        "private",
        "nothing",
        "two",
        "options",
        "an option",
        "hardware",
        "dss",
        "certificate",
        "short",
        "cut",
        "bare",
        "no base64",
        "another type",
        "another curve",
        "no key",
    ],
)
def test_anything_else_is_refused_with_the_remedy(content: str, complaint: str, remedy: str) -> None:
    with pytest.raises(KeyFileError, match=complaint) as caught:
        clientkey.handed_in(content.encode(), "laptop.pub")

    assert str(caught.value).startswith("laptop.pub: ")
    assert remedy in caught.value.hint


def test_an_rsa_key_that_is_long_enough_is_taken() -> None:
    assert clientkey.handed_in(rsa(2048).encode(), "x").kind == "ssh-rsa"
