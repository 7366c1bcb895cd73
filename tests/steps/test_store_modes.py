"""The guest's /nix over the host's store, as a link to it, and from each mode to each other."""

import os
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import GuestPathError
from darlingbuilder.core.paths import GUEST_NIX, GUEST_OWN, GUEST_OWN_NIX, STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import store as store_module
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.store import Store
from tests.fakes.furnished import chosen, furnish, scratch, seen, times
from tests.fakes.world import FakeWorld, fake_world
from tests.names import UNIT, UNIT_FILE

PATHS = Paths(Settings())
MODES = ("copy", "overlay", "symlink")
LINK = "/Volumes/SystemRoot/nix"


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a machine with a builder that has a store of its own, and is down."""
    with scratch() as root:
        world = furnish(fake_world(root))
        for step in build(chosen(), world).files:
            step.apply()
        world.host.write(STORE / "hosts", b"of the host\n")
        world.host.write(PATHS.store / "guests", b"of the guest\n")
        yield world


def step(world: FakeWorld, mode: str) -> Store:
    return Store(chosen(store=mode).settings, world)


def boot(world: FakeWorld, mode: str) -> None:
    """Do what ``serve`` does."""
    with world.host.real(PATHS.boot_log).open("ab") as log:
        world.darling.boot(log)
    step(world, mode).mount()


def drift(world: FakeWorld, mode: str) -> str:
    return "\n".join(f"{one.what} {one.detail}" for one in step(world, mode).check())


def test_over_the_hosts_store_the_guest_sees_both_and_its_own_alone_elsewhere(world: FakeWorld) -> None:
    step(world, "overlay").apply()
    boot(world, "overlay")

    files = world.darling.files()
    assert step(world, "overlay").check() == []
    assert {"hosts", "guests"} <= set(files.names(STORE))
    assert "hosts" not in files.names(GUEST_OWN_NIX / "store")
    assert files.read(GUEST_OWN_NIX / "store/guests") == b"of the guest\n"


def test_the_host_s_store_is_what_its_name_leads_to_and_shown_as_the_service_users(world: FakeWorld) -> None:
    (world.host.root / "nix").rename(world.host.root / "big-disk")
    (world.host.root / "nix").symlink_to(world.host.root / "big-disk")

    step(world, "overlay").apply()
    boot(world, "overlay")

    account = world.accounts.find("darlingbuilder")
    [layers] = world.darling.overlays.values()
    assert account is not None
    assert layers.lower == (world.host.root / "big-disk/store").resolve()
    assert layers.shown_as == account.owner


def test_the_work_directory_is_roots_alone_and_what_was_planted_there_goes(world: FakeWorld) -> None:
    account = world.accounts.find("darlingbuilder")
    world.host.make_directory(PATHS.overlay_work / "work", owner=account.owner if account else None)
    assert "is no directory that is root's alone" in drift(world, "overlay")

    step(world, "overlay").apply()

    found = world.host.attributes(PATHS.overlay_work)
    assert found is not None
    assert (found.kind, found.mode, found.owner) == (Kind.DIRECTORY, 0o700, ROOT)
    assert world.host.names(PATHS.overlay_work) == []


def test_a_link_in_the_place_of_the_work_directory_is_not_followed(world: FakeWorld, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    world.host.write_link(PATHS.overlay_work, str(tmp_path))

    step(world, "overlay").apply()

    assert world.host.link(PATHS.overlay_work) is None
    assert (tmp_path / "precious").exists()


def test_a_link_in_the_place_of_the_upper_layer_is_refused(world: FakeWorld, tmp_path: Path) -> None:
    world.host.remove(PATHS.store)
    world.host.write_link(PATHS.store, str(tmp_path))

    assert str(PATHS.store) in drift(world, "overlay")
    with pytest.raises(GuestPathError):
        step(world, "overlay").apply()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", [GUEST_NIX, GUEST_OWN_NIX, STORE])
def test_a_mount_that_is_lost_is_named_and_the_next_start_makes_it(world: FakeWorld, lost: Path) -> None:
    step(world, "overlay").apply()
    boot(world, "overlay")
    (world.darling.overlays if lost == STORE else world.darling.mounts).pop(lost)

    assert f"the guest's {lost} " in drift(world, "overlay")
    assert "is not mounted there" in drift(world, "overlay")
    step(world, "overlay").apply()

    assert world.darling.server() is None, "an overlay is not mended while builds may run on what is there"
    assert step(world, "overlay").check() == []


def test_a_link_leads_to_the_host_s_store_and_nothing_is_mounted(world: FakeWorld) -> None:
    step(world, "symlink").apply()
    boot(world, "symlink")

    assert world.darling.files().link(GUEST_NIX) == LINK
    assert (world.darling.mounts, world.darling.overlays) == ({}, {})
    assert step(world, "symlink").check() == []


def test_a_directory_with_somebody_s_files_does_not_become_a_link(world: FakeWorld) -> None:
    world.darling.files().write(GUEST_NIX / "theirs", b"precious\n")

    with pytest.raises(GuestPathError, match="holds files of somebody else's"):
        step(world, "symlink").apply()

    assert world.darling.files().read(GUEST_NIX / "theirs") == b"precious\n"


@pytest.mark.parametrize(("before", "after"), [*permutations(MODES, 2)])
@pytest.mark.parametrize("running", [False, True], ids=["down", "up"])
def test_from_each_mode_to_each_other_and_back(world: FakeWorld, before: str, after: str, *, running: bool) -> None:
    # given
    step(world, before).apply()
    original = seen(world.darling.prefix)
    if running:
        boot(world, before)
    # when
    assert step(world, after).check() != []
    step(world, after).apply()
    # then
    assert step(world, after).check() == []
    assert world.host.read(PATHS.store / "guests") == b"of the guest\n"
    if world.darling.server() is None:
        boot(world, after)
    assert step(world, after).check() == []
    # and back
    step(world, before).apply()
    world.darling.shutdown()
    assert step(world, before).check() == []
    assert {name: kind for name, kind in original.items() if name not in WIPED} == {
        name: kind for name, kind in seen(world.darling.prefix).items() if name not in WIPED
    }


WIPED = {".init.pid"}


@pytest.mark.parametrize("mode", MODES)
def test_applied_again_nothing_is_changed_and_withdrawn_nothing_is_left(world: FakeWorld, mode: str) -> None:
    untouched = seen(world.host.root / "nix")
    step(world, mode).apply()
    before = seen(world.host.root), times(world.host.root)
    step(world, mode).apply()
    step(world, mode).check()
    assert (seen(world.host.root), times(world.host.root)) == before

    for _ in range(2):
        step(world, mode).revert()

    assert world.darling.files().attributes(GUEST_NIX) is None
    assert world.darling.files().attributes(GUEST_OWN) is None
    assert world.host.attributes(PATHS.overlay_work) is None
    assert seen(world.host.root / "nix") == untouched


def test_without_an_overlay_its_whiteouts_are_gone(world: FakeWorld) -> None:
    step(world, "overlay").apply()
    os.mkfifo(world.host.real(PATHS.store / "x.lock"))  # an ordinary user can make no whiteout; it is no file either
    step(world, "copy").apply()

    assert "x.lock" not in world.host.names(PATHS.store)
    assert "guests" in world.host.names(PATHS.store)


def test_a_running_unit_is_stopped_for_another_mode_so_that_its_builds_can_end(world: FakeWorld) -> None:
    world.systemd.start(UNIT)
    boot(world, "copy")
    assert world.host.attributes(UNIT_FILE)

    step(world, "overlay").apply()

    assert world.systemd.unit(UNIT).activity is Activity.INACTIVE
    assert world.darling.server() is None


def test_where_the_guest_has_no_nix_neither_nix_nor_a_registration_is_wanted(world: FakeWorld) -> None:
    config = chosen(store="symlink")
    plan = {one.name: one for one in build(config, world).files}
    own = seen(world.host.real(PATHS.nix))
    assert "without a Nix the guest builds nothing" in str(plan["registration"].check())

    for one in build(config, world).files:
        one.apply()

    assert [name for name, one in plan.items() if one.check()] == []
    assert world.host.attributes(Path("/etc/nix/darling-builder.machines")) is None
    assert seen(world.host.real(PATHS.nix)) == own, "a switch back costs nothing"


def test_that_builds_are_off_is_said() -> None:
    [note] = store_module.notes(chosen(store="symlink").settings)
    assert 'store = "symlink"' in note.detail
    assert '"overlay" or "copy"' in note.hint
    assert store_module.notes(Settings()) == []
