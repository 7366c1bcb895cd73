"""The file system below the builder's directories: its kind, its options, its room, the way to it."""

from pathlib import Path

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import place
from darlingbuilder.steps.prerequisites.finding import Level
from tests.steps.prerequisites.machine import MOUNTS, around, fit, fit_world


def with_mount(kind: str, options: str = "rw", point: str = "/var/lib") -> str:
    return f"{MOUNTS}40 22 0:40 / {point} {options},relatime shared:9 master:1 - {kind} source rw\n"


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("ext4", Level.OK),
        ("xfs", Level.OK),
        ("btrfs", Level.OK),
        ("tmpfs", Level.OK),
        ("nfs4", Level.FAILURE),
        ("nfs", Level.FAILURE),
        ("ecryptfs", Level.FAILURE),
        ("overlay", Level.FAILURE),
        ("vfat", Level.FAILURE),
        ("fuse.sshfs", Level.WARNING),
        ("9p", Level.WARNING),
    ],
)
def test_the_prefix_needs_a_file_system_that_overlayfs_takes(tmp_path: Path, kind: str, level: Level) -> None:
    verdict = place.prefix(fit(tmp_path, mounts=with_mount(kind)))

    assert verdict.level is level
    assert kind in verdict.detail
    assert bool(verdict.hint) == (level is not Level.OK)


@pytest.mark.parametrize("option", ["ro", "noexec"])
def test_a_file_system_that_cannot_be_written_or_run_from_is_refused(tmp_path: Path, option: str) -> None:
    surroundings = fit(tmp_path, mounts=with_mount("ext4", option))

    assert place.prefix(surroundings).level is Level.FAILURE
    assert f"mounted {option}" in place.state(surroundings).detail


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    mounts = with_mount("overlay", point="/") + with_mount("ext4").removeprefix(MOUNTS)

    assert place.prefix(fit(tmp_path, mounts=mounts)).level is Level.OK


def test_a_link_on_the_way_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    surroundings = fit(tmp_path, mounts=with_mount("nfs4", point="/data"))
    surroundings.world.host.make_directory(Path("/data/builder"))
    (tmp_path / "var/lib/darling-builder").symlink_to(tmp_path / "data/builder")

    assert place.prefix(surroundings).level is Level.FAILURE


def test_without_proc_there_is_a_warning(tmp_path: Path) -> None:
    surroundings = fit(tmp_path, mounts="")

    assert place.prefix(surroundings).level is Level.WARNING
    assert place.state(surroundings).level is Level.WARNING


def test_the_length_of_the_prefix_is_said(tmp_path: Path) -> None:
    assert "(37 of 78 bytes)" in place.prefix(fit(tmp_path)).detail


@pytest.mark.parametrize(
    ("gibibytes", "files", "level"),
    [
        (77, None, Level.OK),
        (77, 10**6, Level.OK),
        (10, None, Level.OK),
        (9.9, None, Level.WARNING),
        (77, 5000, Level.WARNING),
        (1, None, Level.WARNING),
        (0.9, None, Level.FAILURE),
        (0, 0, Level.FAILURE),
    ],
)
def test_room_is_judged_by_what_nix_needs(gibibytes: float, files: int | None, level: Level) -> None:
    verdict = place.judge_room(Path("/var/lib"), free=int(gibibytes * 2**30), files=files)

    assert verdict.level is level


def test_room_is_looked_at_where_the_files_will_be(tmp_path: Path) -> None:
    assert " at /var/lib" in place.room(fit(tmp_path)).detail


def test_a_remote_file_system_is_not_asked_for_its_room(tmp_path: Path) -> None:
    assert "not looked at" in place.room(fit(tmp_path, mounts=with_mount("nfs4"))).detail


def test_the_service_user_must_get_to_the_prefix(tmp_path: Path) -> None:
    settings = Settings(state="/srv/closed/builder")
    world = fit_world(tmp_path, settings)
    world.host.make_directory(Path("/srv/closed"))
    assert place.reach(around(world, settings)).level is Level.OK
    (tmp_path / "srv/closed").chmod(0o700)

    verdict = place.reach(around(world, settings))

    assert verdict.level is Level.FAILURE
    assert verdict.hint.startswith("chmod o+x /srv/closed")


def test_a_directory_of_the_builder_s_own_may_be_closed(tmp_path: Path) -> None:
    settings = Settings()
    world = fit_world(tmp_path, settings)
    world.host.make_directory(Path(settings.state), mode=0o700)

    assert place.reach(around(world, settings)).level is Level.OK


def test_the_service_user_gets_through_a_directory_of_their_own(tmp_path: Path) -> None:
    settings = Settings(state="/srv/theirs/builder")
    world = fit_world(tmp_path, settings)
    account = world.accounts.add("darlingbuilder")
    world.host.make_directory(Path("/srv/theirs"), mode=0o700, owner=account.owner)

    assert place.reach(around(world, settings)).level is Level.OK


def test_who_may_not_look_inside_is_told_of_what_is_outside(tmp_path: Path) -> None:
    settings = Settings()
    world = fit_world(tmp_path, settings)
    world.host.make_directory(settings.prefix_path)
    closed = tmp_path / "var/lib/darling-builder/guest"
    closed.chmod(0)

    verdicts = [check(around(world, settings)).level for check in (place.prefix, place.state)]

    closed.chmod(0o700)
    assert verdicts == [Level.OK, Level.OK]
