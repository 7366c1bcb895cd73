"""Our block in foreign files."""

import os
from pathlib import Path

import pytest

from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.insertion import Insertion
from tests.fakes.tree import RootlessTree

PATH = Path("/etc/nix/nix.conf")


@pytest.mark.parametrize("before", [b"", b"a = 1\n", b"a = 1", b"\xff\xfe odd\r\n\r\n", None])
def test_what_was_there_before_is_there_again_afterwards(tmp_path: Path, before: bytes | None) -> None:
    # given
    tree = RootlessTree(tmp_path)
    if before is not None:
        tree.write(PATH, before)
    # when
    put_in = Insertion(tree, PATH, "ours = 1\n").converge()
    between = tree.read(PATH) or b""
    taken_out = Insertion(tree, PATH).converge()
    # then
    assert put_in
    assert taken_out
    assert between.startswith(before or b"")
    assert b"\nours = 1\n" in between
    assert tree.read(PATH) == before


def test_mode_and_owner_of_the_foreign_file_stay(tmp_path: Path) -> None:
    tree = RootlessTree(tmp_path)
    tree.write(PATH, b"secret = 1\n", mode=0o640)

    Insertion(tree, PATH, "ours = 1\n").converge()

    found = (tmp_path / "etc/nix/nix.conf").stat()
    assert found.st_mode & 0o777 == 0o640
    assert found.st_uid == os.geteuid()


def test_a_converged_block_is_not_written_again(tmp_path: Path) -> None:
    tree = RootlessTree(tmp_path)
    insertion = Insertion(tree, PATH, "ours = 1\n")
    insertion.converge()
    before = tree.attributes(PATH)

    assert not insertion.converge()

    assert insertion.check() == []
    assert tree.attributes(PATH) == before


def test_a_file_that_is_a_link_is_left_to_whoever_manages_it(tmp_path: Path) -> None:
    (tmp_path / "etc/nix").mkdir(parents=True)
    (tmp_path / "etc/nix/nix.conf").symlink_to("/dev/null")

    with pytest.raises(ForeignFileError) as raised:
        Insertion(RootlessTree(tmp_path), PATH, "ours = 1\n").converge()

    assert "register = false" in raised.value.hint
    assert "ours = 1" in raised.value.hint
    assert (tmp_path / "etc/nix/nix.conf").is_symlink()
