"""The upper layer: what is the guest's own, and its removal by somebody who may not write everywhere."""

import os
import stat
from pathlib import Path

import pytest

from darlingbuilder.steps.sharing import upper
from tests.fakes.deep import dig, few_descriptors

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a whiteout outside an overlay")


def test_what_nobody_may_write_is_removed_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / "store" / "path" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    for directory in (deep, deep.parent):
        directory.chmod(0o000 if directory == deep else 0o555)

    with upper.opened(tmp_path / "store") as own:
        assert own.remove("path")
        assert own.names() == set()


def test_what_is_deeper_than_any_limit_is_removed(tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    dig(tmp_path / "path")
    (tmp_path / "path").chmod(0o555)
    with upper.opened(tmp_path) as own, few_descriptors():
        assert own.remove("path")


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "store/link").symlink_to(tmp_path / "precious")
    with upper.opened(tmp_path / "store") as own:
        assert own.remove("link")
    assert (tmp_path / "precious").is_dir()


def test_a_store_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="store"), upper.opened(tmp_path / "store"):
        pass


@AS_ROOT
def test_a_whiteout_is_nobody_s_own_hides_and_can_be_removed(tmp_path: Path) -> None:
    os.mknod(tmp_path / "white", stat.S_IFCHR, os.makedev(0, 0))
    (tmp_path / "own").mkdir()
    with upper.opened(tmp_path) as own:
        assert own.names() == {"own"}
        assert not own.has("white")
        assert own.occupied("white")
        assert own.leftover() == {"white", "own"}
        assert own.remove("white")
        assert not own.occupied("white")
