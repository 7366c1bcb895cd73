"""Trees that are deeper than any limit are gone through and removed, and nobody leads us astray meanwhile."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import child, process
from darlingbuilder.core import descent
from darlingbuilder.core.errors import ForeignFileError, GuestPathError
from darlingbuilder.core.links import Links
from darlingbuilder.core.tree import Tree
from tests.fakes.deep import DEPTH, NAME, dig, few_descriptors
from tests.privileges import bound_by_permissions

# sched.h
_CLONE_NEWNS = 0x20000
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and write where nobody may")


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """Give a directory; pytest itself could not remove what is deep in it."""
    (tmp_path / "top").mkdir()
    yield tmp_path / "top"
    Tree(tmp_path).remove(Path("/top"))


@pytest.mark.parametrize("links", Links)
def test_what_is_deeper_than_any_limit_is_removed(top: Path, links: Links) -> None:
    dig(top)
    with few_descriptors():
        Tree(top.parent, links).remove(Path("/top"))
    assert list(top.parent.iterdir()) == []


def test_what_is_deeper_than_any_limit_is_gone_through(top: Path) -> None:
    dig(top)
    with few_descriptors(), Tree(top).descriptor(Path("/")) as opened:
        seen = [(place.path, name, stat.S_IFMT(found.st_mode)) for place, name, found in descent.entries(opened)]
    assert sum(kind == stat.S_IFDIR for _, _, kind in seen) == DEPTH
    assert sum(kind == stat.S_IFLNK for _, _, kind in seen) == DEPTH // 100 + 1
    assert max(seen, key=lambda one: len(one[0]))[0] == "/".join([NAME] * DEPTH)


def test_every_branch_is_removed_and_no_link_is_followed(top: Path) -> None:
    for path in ("a/b/c", "a/d", "e", "f/g/h/i"):
        (top / "tree" / path).mkdir(parents=True)
        (top / "tree" / path / "file").write_text("x")
    (top / "precious").mkdir()
    (top / "precious" / "file").write_text("x")
    (top / "tree/a/b/link").symlink_to(top / "precious")
    (top / "tree/dangling").symlink_to("nowhere")
    os.mkfifo(top / "tree/pipe")

    Tree(top).remove(Path("/tree"))

    assert sorted(path.relative_to(top).as_posix() for path in top.rglob("*")) == ["precious", "precious/file"]


@AS_ROOT
def test_what_nobody_may_write_is_removed_by_root(top: Path) -> None:
    (top / "path/bin").mkdir(parents=True)
    (top / "path/bin/nix").write_text("x")
    (top / "path/bin").chmod(0o555)
    (top / "path").chmod(0o555)
    Tree(top).remove(Path("/path"))
    assert list(top.iterdir()) == []


def test_what_may_not_be_read_is_an_error_where_it_is_removed_and_left_out_of_what_is_seen(top: Path) -> None:
    (top / "shut/in").mkdir(parents=True)
    (top / "shut").chmod(0o000)
    try:
        with bound_by_permissions():
            with pytest.raises(PermissionError):
                Tree(top).remove(Path("/shut"))
            with Tree(top).descriptor(Path("/")) as opened:
                assert [name for _, name, _ in descent.entries(opened)] == ["shut"]
    finally:
        (top / "shut").chmod(0o700)


def test_a_directory_that_is_moved_away_leads_nowhere_else(top: Path) -> None:
    # given: we are in top/tree/inner, and what we have come from is put elsewhere, where there is something precious
    (top / "tree/inner").mkdir(parents=True)
    (top / "tree/other").mkdir()
    (top / "other").mkdir()
    (top / "other/precious").write_text("x")
    with Tree(top).descriptor(Path("/tree")) as opened, descent.below(opened, ["inner"]) as place:
        place.enter("inner")
        # when
        (top / "tree/inner").rename(top / "other/inner")
        # then
        with pytest.raises(GuestPathError, match="inner: somebody moves directories"):
            place.leave()
    assert (top / "other/precious").exists()


def test_a_link_that_takes_a_directory_s_place_is_not_followed(top: Path) -> None:
    (top / "precious").mkdir()
    (top / "precious/file").write_text("x")
    (top / "tree/inner/full").mkdir(parents=True)

    def swap(_directory: int, name: str) -> None:
        if name == "inner":
            (top / "tree/inner").rename(top / "away")
            (top / "tree/inner").symlink_to(top / "precious")

    with Tree(top).descriptor(Path("/")) as opened, pytest.raises(GuestPathError, match="inner"):
        descent.remove(opened, "tree", entering=swap)
    assert (top / "precious/file").exists()


@AS_ROOT
@pytest.mark.parametrize("point", ["tree", "tree/inner"])
def test_what_is_mounted_is_not_entered(top: Path, point: str) -> None:
    (top / "precious").mkdir()
    (top / "precious/file").write_text("x")
    (top / "tree/inner").mkdir(parents=True)

    def remove() -> None:
        child.unshare(_CLONE_NEWNS)
        process.run("mount", "--make-rprivate", "/")
        process.run("mount", "--bind", top / "precious", top / point)
        with pytest.raises(ForeignFileError, match="mounted"):
            Tree(top).remove(Path("/tree"))

    assert child.failure_of(remove) == ""
    assert (top / "precious/file").exists()
