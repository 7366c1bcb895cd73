"""Ed25519 keys, compared with what OpenSSH itself says of them."""

import contextlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Start
from darlingbuilder.core import keypair
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.tree import Tree
from tests.privileges import bound_by_permissions

KEY = Path("/key")
needs_ssh_keygen = pytest.mark.skipif(process.find("ssh-keygen") is None, reason="needs ssh-keygen")


def keygen(*arguments: str | Path) -> str:
    return process.run("ssh-keygen", *arguments).stdout


def made_by_openssh(directory: Path, *arguments: str) -> bytes:
    keygen("-q", *arguments, "-f", directory / "key")
    return (directory / "key").read_bytes()


@needs_ssh_keygen
def test_openssh_reads_the_key_that_we_make(tmp_path: Path) -> None:
    # given
    private = keypair.generate("darling-builder@here")
    Tree(tmp_path).write(KEY, private, mode=0o600)
    # when
    said = keygen("-y", "-P", "", "-f", tmp_path / "key")
    # then
    assert said == keypair.public_of(private).line
    assert said.startswith("ssh-ed25519 AAAA")
    assert said.endswith(" darling-builder@here\n")


@needs_ssh_keygen
def test_we_read_the_key_that_openssh_makes(tmp_path: Path) -> None:
    private = made_by_openssh(tmp_path, "-t", "ed25519", "-N", "", "-C", "some body@there")
    assert keypair.public_of(private).line == (tmp_path / "key.pub").read_text()


def test_two_keys_are_never_the_same() -> None:
    assert keypair.generate("x") != keypair.generate("x")


@needs_ssh_keygen
@pytest.mark.parametrize("comment", ["", "a", "abcdefgh", "ä\u2028ö", "x" * 300])
def test_a_comment_of_any_length_leaves_the_key_readable(tmp_path: Path, comment: str) -> None:
    Tree(tmp_path).write(KEY, keypair.generate(comment), mode=0o600)
    assert keygen("-y", "-P", "", "-f", tmp_path / "key").startswith("ssh-ed25519 ")


@needs_ssh_keygen
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-t", "ed25519", "-N", "secret"), "is protected by a passphrase"),
        (("-t", "ecdsa", "-N", ""), "is of type ecdsa-sha2-nistp256, not ssh-ed25519"),
        (("-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"), "is a private key of another format than OpenSSH's"),
    ],
)
def test_a_key_that_cannot_be_used_is_an_error_that_says_why(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    made_by_openssh(tmp_path, *arguments)
    with pytest.raises(KeyFileError, match=rf"^/key: {reason}") as caught:
        keypair.read(Tree(tmp_path), KEY)
    assert "ssh-keygen -t ed25519" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a private key"),
        (b"precious\n", "is not a private key"),
        (b"\0\xff" * 200, "is not a private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "is cut short"),
    ],
)
def test_a_file_that_is_no_key_is_an_error_that_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(KeyFileError, match=reason):
        keypair.read(Tree(tmp_path), KEY)


@given(st.data())
def test_a_damaged_key_is_never_taken_for_another(data: st.DataObject) -> None:
    # given
    private = keypair.generate("darling-builder@here")
    place = data.draw(st.integers(0, len(private) - 1))
    damaged = private[:place] + bytes([data.draw(st.integers(0, 255))]) + private[place + 1 :]
    # when, then: the key that it was, or an error; never another key, never an error of another kind
    with contextlib.suppress(ValueError):
        assert keypair.public_of(damaged).text == keypair.public_of(private).text


@given(st.integers(0, 400))
def test_a_key_that_is_cut_short_is_an_error(length: int) -> None:
    private = keypair.generate("")
    with pytest.raises(ValueError, match=r"^is "):
        keypair.public_of(private[: min(length, len(private) - 2)])


def test_a_place_without_a_key_is_no_error(tmp_path: Path) -> None:
    assert keypair.read(Tree(tmp_path), KEY) is None
    assert keypair.read(Tree(tmp_path), Path("/no/such/directory/key")) is None


def test_a_key_that_is_needed_and_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="/key: is absent"):
        keypair.needed(Tree(tmp_path), KEY)


def test_a_directory_in_the_keys_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(KeyFileError, match="is a directory, not a file"):
        keypair.read(Tree(tmp_path), KEY)


@pytest.mark.parametrize("target", ["nowhere", "key"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "key").symlink_to(target)
    with pytest.raises(KeyFileError, match=r"/key: (is a link that leads nowhere|cannot be read)"):
        keypair.read(Tree(tmp_path), KEY)


def test_a_pipe_in_the_keys_place_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with pytest.raises(KeyFileError, match="is not a private key"):
        keypair.read(Tree(tmp_path), KEY)


def test_a_key_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o000)
    with bound_by_permissions(), pytest.raises(KeyFileError, match="cannot be read: Permission denied") as caught:
        keypair.read(Tree(tmp_path), KEY)
    assert "root" in caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"ssh-ed25519\n", b"\xff\xfe\n", b"\n"])
def test_what_is_no_public_key_is_not_read_as_one(content: bytes | None) -> None:
    assert keypair.written_public(content) is None


def test_a_public_key_is_read_with_its_comment_or_without() -> None:
    with_comment = keypair.written_public(b"ssh-ed25519 AAAA my comment\n")
    without = keypair.written_public(b"ssh-ed25519 AAAA")
    assert with_comment == keypair.PublicKey("ssh-ed25519 AAAA", "my comment")
    assert without == keypair.PublicKey("ssh-ed25519 AAAA", "")


def test_reading_a_key_costs_no_import_of_cryptography(tmp_path: Path) -> None:
    # given
    Tree(tmp_path).write(KEY, keypair.generate("x"), mode=0o600)
    program = (
        "import sys; from pathlib import Path; from darlingbuilder.core import keypair; "
        "from darlingbuilder.core.tree import Tree; assert keypair.read(Tree(Path(sys.argv[1])), Path('/key')); "
        "print('cryptography' in sys.modules)"
    )
    # when
    here = Path(keypair.__file__).parents[2]
    ended = process.run(sys.executable, "-c", program, str(tmp_path), start=Start(directory=here))
    # then
    assert ended.stdout == "False\n"


@needs_ssh_keygen
def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path) -> None:
    key = keypair.public_of(keypair.generate("x"))
    (tmp_path / "key.pub").write_text(key.line)
    assert keygen("-l", "-f", str(tmp_path / "key.pub")).split()[1] == key.fingerprint
    assert key.kind == "ssh-ed25519"


@pytest.mark.parametrize(
    ("text", "whole"),
    [("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", True), ("ssh-ed25519 AAAA", False), ("no key", False), ("a %%", False)],
)
def test_a_line_that_only_looks_like_a_key_is_told_from_one(text: str, *, whole: bool) -> None:
    assert keypair.PublicKey(text, "").is_whole is whole
