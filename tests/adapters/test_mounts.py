"""The mount table, as the kernel writes it."""

import os
from pathlib import Path

import pytest

from darlingbuilder.adapters import mounts
from darlingbuilder.core.tree import Tree

TABLE = (
    rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:30 / /srv/with\040space rw - xfs /dev/sdb rw
31 22 0:31 / /srv/a rw,noexec shared:2 master:3 propagate_from:4 - tmpfs tmpfs rw,size=1k
32 22 0:32 / /srv/a ro - ext4 /dev/sdc rw
33 22 0:33 / /srv/\377 rw - btrfs /dev/sdd rw
34 22 0:34 / /srv/merged rw - overlay overlay rw,lowerdir=/low,upperdir=/srv/a\054b\040c,workdir=/work
35 22 0:35 / /srv/read-only rw - overlay overlay ro,lowerdir=/low:/lower
36 22 0:36 / /srv/no-overlay rw - fuse.upper upper rw,upperdir=/srv/a
"""
    b"37 22 0:37 / /srv/\xff\r rw - tmpfs \xe9 rw\n"
)


@pytest.fixture
def table(tmp_path: Path) -> list[mounts.Mount]:
    tree = Tree(tmp_path)
    tree.write(Path("/proc/self/mountinfo"), TABLE)
    return mounts.table(tree)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv", "ext4"),
        ("/srv/with space/x", "xfs"),
        ("/srv/with", "ext4"),
        ("/srv/a", "ext4"),
        ("/srv/ab", "ext4"),
        ("/srv/\udcff/x", "btrfs"),
        ("/srv/\udcff\r/x", "tmpfs"),
    ],
)
def test_a_path_lies_on_the_innermost_and_latest_mount(table: list[mounts.Mount], path: str, kind: str) -> None:
    found = mounts.holding(table, Path(path))

    assert found is not None
    assert found.kind == kind


def test_options_are_those_of_the_mount_and_of_the_file_system(table: list[mounts.Mount]) -> None:
    assert {"rw", "relatime", "errors=remount-ro"} <= table[0].options
    assert "ro" in table[3].options


def test_the_upper_layer_of_an_overlay_is_told_and_nothing_else_is_one(table: list[mounts.Mount]) -> None:
    assert [mount.upper for mount in table if mount.upper] == [Path("/srv/a,b c")]


def test_a_process_sees_what_we_see_and_one_that_is_not_there_nothing() -> None:
    assert mounts.of(os.getpid()) == mounts.table(Tree(Path("/")))
    assert mounts.of(2**22 + 1) == []


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert mounts.table(Tree(tmp_path)) == []
    assert mounts.holding([], Path("/srv")) is None


def test_this_machine_has_a_root() -> None:
    assert mounts.holding(mounts.table(Tree(Path("/"))), Path("/")) is not None
