"""When garbage is collected for want of space."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.sharing.space import FreeSpace
from tests.fakes.darling import FakeProgram

GIGA = 2**30


@dataclass
class Disk:
    """A file system with so much room, and the collections that were started for it."""

    room: int
    started: list[int] = field(default_factory=list)
    running: FakeProgram = field(default_factory=lambda: FakeProgram(1, ("gc",)))

    def free(self, _place: Path) -> int:
        return self.room

    def collect(self, free: int, _state: Path) -> FakeProgram:
        self.started.append(free)
        self.running = FakeProgram(1, ("gc",))
        return self.running

    def look(self, space: FreeSpace) -> None:
        """Look as if the time for it had come."""
        space._next = 0.0  # noqa: SLF001 - nobody waits for 5 s
        space.look()

    def space(self, low: str = "1G", high: str = "3G") -> FreeSpace:
        return FreeSpace(Settings(min_free=low, max_free=high), Path("/"), self.collect, self.free)


def test_with_room_enough_nothing_is_collected() -> None:
    disk = Disk(2 * GIGA)
    disk.look(disk.space())
    assert disk.started == []


def test_below_the_bound_so_much_is_freed_as_is_missing() -> None:
    disk = Disk(GIGA // 2)
    disk.look(disk.space())
    assert disk.started == [3 * GIGA - GIGA // 2]


def test_one_collection_at_a_time_and_none_that_would_free_nothing() -> None:
    disk, space = Disk(GIGA // 2), None
    space = disk.space()
    disk.look(space)
    disk.look(space)
    assert len(disk.started) == 1
    # it ends, and has freed nothing
    disk.running.code = 0
    disk.look(space)
    assert len(disk.started) == 1
    # more is used since
    disk.room = GIGA // 4
    disk.look(space)
    assert len(disk.started) == 2


@pytest.mark.parametrize("low", ["0"])
def test_without_a_bound_nobody_looks(low: str) -> None:
    disk = Disk(0)
    disk.look(disk.space(low, "0"))
    assert disk.started == []


def test_between_two_looks_the_disk_is_left_alone() -> None:
    disk = Disk(2 * GIGA)
    space = disk.space()
    disk.look(space)
    disk.room = 0
    space.look()
    assert disk.started == []
