"""A clone of a directory's mount in which one owner is shown as another."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darlingbuilder.adapters import identity, idmapped, mounts
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.owner import Owner

SOMEBODY, ANOTHER = Owner(4242, 4243), Owner(77, 78)
NOBODY = Account("nobody", Owner(65534, 65534))
LAST = 2**32 - 2
ids = st.integers(0, LAST)
mounting = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A directory of root's with files of root's and of others."""
    for name, owner in {"roots": Owner(0, 0), "another's": ANOTHER, "somebody's": SOMEBODY}.items():
        (tmp_path / name).touch()
        os.chown(tmp_path / name, owner.uid, owner.gid)
    return tmp_path


@pytest.fixture
def clone(store: Path) -> Iterator[int]:
    descriptor = idmapped.clone(store, SOMEBODY)
    yield descriptor
    os.close(descriptor)


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def owner_of(name: str, clone: int) -> Owner:
    found = os.stat(name, dir_fd=clone)
    return Owner(found.st_uid, found.st_gid)


def mapping(text: str) -> list[tuple[int, int, int]]:
    return [(int(one), int(other), int(count)) for one, other, count in map(str.split, text.splitlines())]


def shown(text: str, on_disk: int) -> int | None:
    hits = [other + on_disk - one for one, other, count in mapping(text) if one <= on_disk < one + count]
    assert len(hits) <= 1
    return hits[0] if hits else None


@given(ids, ids, ids)
def test_one_is_shown_as_the_other_and_all_others_as_themselves(on_disk: int, wanted: int, third: int) -> None:
    text = idmapped.extents(on_disk, wanted)

    assert shown(text, on_disk) == wanted
    if third not in {on_disk, wanted}:
        assert shown(text, third) == third
    if on_disk != wanted:
        assert shown(text, wanted) is None, "two would be shown as one, which the kernel refuses"


@given(ids, ids)
def test_a_mapping_is_one_that_the_kernel_takes(on_disk: int, wanted: int) -> None:
    extents = mapping(idmapped.extents(on_disk, wanted))

    assert all(count > 0 for _, _, count in extents)
    for side in (0, 1):
        spans = sorted((extent[side], extent[side] + extent[2]) for extent in extents)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert spans[-1][1] <= LAST + 1


@mounting
def test_what_is_roots_is_shown_as_somebodys(clone: int) -> None:
    assert owner_of("roots", clone) == SOMEBODY
    assert owner_of(".", clone) == SOMEBODY
    assert owner_of("another's", clone) == ANOTHER


@mounting
def test_what_is_somebodys_already_is_shown_as_nobodys(clone: int) -> None:
    assert owner_of("somebody's", clone).uid not in {0, SOMEBODY.uid}


@mounting
def test_the_group_that_a_store_of_roots_has_is_left_alone(store: Path) -> None:
    os.chown(store, 0, ANOTHER.gid)
    descriptor = idmapped.clone(store, SOMEBODY)

    assert owner_of(".", descriptor) == Owner(SOMEBODY.uid, ANOTHER.gid)
    assert owner_of("roots", descriptor) == SOMEBODY
    os.close(descriptor)


@mounting
def test_a_store_of_a_single_user_is_shown_as_somebodys(store: Path) -> None:
    os.chown(store, ANOTHER.uid, ANOTHER.gid)
    descriptor = idmapped.clone(store, SOMEBODY)

    assert owner_of("another's", descriptor) == SOMEBODY
    assert owner_of("roots", descriptor) == Owner(0, 0)
    os.close(descriptor)


@mounting
def test_nothing_can_be_written_and_nothing_is_mounted(clone: int, store: Path) -> None:
    with pytest.raises(OSError, match="Read-only file system"):
        os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=clone)
    assert store not in {mount.point for mount in mounts.of(os.getpid())}


@mounting
def test_what_cannot_be_mapped_is_told_of_and_no_descriptor_stays_open() -> None:
    before = descriptors()

    with pytest.raises(OSError, match="cannot be mounted id-mapped: Invalid argument"):
        idmapped.clone(Path("/proc/sys"), SOMEBODY)

    assert descriptors() == before


@mounting
def test_a_trial_says_why_it_cannot_be_and_leaves_nothing(store: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()

    assert idmapped.trial(store, SOMEBODY) == ""
    assert idmapped.trial(Path("/proc/sys"), SOMEBODY) == "it cannot be mounted id-mapped: Invalid argument"
    assert idmapped.trial(store / "nowhere", SOMEBODY) == "No such file or directory"

    assert Path("/proc/self/mountinfo").read_text() == before


def test_an_ordinary_user_is_told_that_it_is_not_permitted() -> None:
    def trial() -> str:
        return idmapped.trial(Path("/usr"), SOMEBODY)

    told = trial() if os.geteuid() else identity.as_user(NOBODY, trial, str, seconds=10)

    assert "not permitted" in told
