"""The mount table, as the kernel writes it."""

from pathlib import Path

import pytest

from darlingbuilder.adapters import mounts
from darlingbuilder.core.tree import Tree

TABLE = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:30 / /srv/with\040space rw - xfs /dev/sdb rw
31 22 0:31 / /srv/a rw,noexec shared:2 master:3 propagate_from:4 - tmpfs tmpfs rw,size=1k
32 22 0:32 / /srv/a ro - ext4 /dev/sdc rw
33 22 0:33 / /srv/\377 rw - btrfs /dev/sdd rw
"""


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
    ],
)
def test_a_path_lies_on_the_innermost_and_latest_mount(table: list[mounts.Mount], path: str, kind: str) -> None:
    found = mounts.holding(table, Path(path))

    assert found is not None
    assert found.kind == kind


def test_options_are_those_of_the_mount_and_of_the_file_system(table: list[mounts.Mount]) -> None:
    assert {"rw", "relatime", "errors=remount-ro"} <= table[0].options
    assert "ro" in table[3].options


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert mounts.table(Tree(tmp_path)) == []
    assert mounts.holding([], Path("/srv")) is None


def test_this_machine_has_a_root() -> None:
    assert mounts.holding(mounts.table(Tree(Path("/"))), Path("/")) is not None
