"""Disks of several processes in one scratch directory."""

import sys
from pathlib import Path

import pytest

from integration.machine.commands import start
from integration.machine.disk import PREFIX, Disk, Parts, sweep

PROJECT = Path(__file__).parents[2]
PROCESSES = 4

# Everyone makes, looks after and removes disks as fast as it can, and takes away what is nobody's.
CROWD = """\
import sys
from pathlib import Path
from integration.machine.disk import Disk, Parts, sweep
root, scratch = map(Path, sys.argv[1:])
for _ in range(25):
    swept = sweep(scratch)
    assert not swept, f"took away what was in use: {swept}"
    disk = Disk.create(Parts(root, [], {}, {}), scratch)
    sweep(scratch)
    assert (disk.root / "marker").read_text() == "whole"
    disk.close()
"""


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    root = tmp_path / "root"
    root.mkdir()
    (root / "marker").write_text("whole")
    return Parts(root, [], {}, {})


def test_disks_that_are_made_at_the_same_moment_are_left_alone(tmp_path: Path, parts: Parts) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = (sys.executable, "-c", CROWD, str(parts.root), str(scratch))
    crowd = [start(words, cwd=PROJECT) for _ in range(PROCESSES)]

    ends = [(process.communicate(timeout=120)[1].decode(), process.returncode) for process in crowd]

    assert ends == [("", 0)] * PROCESSES
    assert list(scratch.iterdir()) == []


def test_a_directory_whose_owner_died_before_it_held_anything_is_swept(tmp_path: Path) -> None:
    directory = tmp_path / f"{PREFIX}nobodys"
    directory.mkdir()
    assert sweep(tmp_path) == [directory]
    assert sweep(tmp_path) == []


def test_a_disk_leaves_nothing_in_the_scratch_directory(tmp_path: Path, parts: Parts) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    disk = Disk.create(parts, scratch)
    assert len(list(scratch.iterdir())) == 1
    assert sweep(scratch) == []
    disk.close()
    assert list(scratch.iterdir()) == []
