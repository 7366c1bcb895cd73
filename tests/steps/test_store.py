"""The guest's /nix: a mount point in the prefix, mounted whenever the container runs."""

from pathlib import Path

import pytest

from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import DarlingError, GuestPathError
from darlingbuilder.core.paths import GUEST_NIX, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.store import Store
from tests.fakes.world import FakeWorld, fake_world

PATHS = Paths(Settings())


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """Give a machine with a prefix and the guest's Nix beside it."""
    world = fake_world(tmp_path).with_prefix()
    world.host.write(PATHS.store / "hello", b"hello\n")
    return world


@pytest.fixture
def store(world: FakeWorld) -> Store:
    return Store(Settings(), world)


def boot(world: FakeWorld) -> None:
    with world.host.real(PATHS.boot_log).open("ab") as log:
        world.darling.boot(log)


def test_with_the_container_down_it_is_a_directory_of_the_service_user(store: Store, world: FakeWorld) -> None:
    store.apply()

    found, account = world.darling.files().attributes(GUEST_NIX), world.accounts.find("darlingbuilder")
    assert store.check() == []
    assert found is not None
    assert account is not None
    assert (found.kind, found.owner) == (Kind.DIRECTORY, account.owner)
    assert not world.darling.is_mounted(GUEST_NIX)


def test_with_the_container_up_it_is_mounted(store: Store, world: FakeWorld) -> None:
    store.apply()
    boot(world)

    [drift] = store.check()
    store.apply()

    assert "is not mounted there" in drift.detail
    assert store.check() == []
    assert world.darling.files().read(GUEST_NIX / "store/hello") == b"hello\n"


def test_it_is_mounted_once(store: Store, world: FakeWorld) -> None:
    store.apply()
    boot(world)
    for _ in range(2):
        store.mount()
    assert list(world.darling.mounts) == [GUEST_NIX]


def test_the_seeds_link_is_explained_and_replaced(store: Store, world: FakeWorld) -> None:
    world.darling.files().write_link(GUEST_NIX, "/Volumes/SystemRoot/nix")

    [drift] = store.check()
    store.apply()

    assert "is a link to /Volumes/SystemRoot/nix, as the old NixOS module made it" in drift.detail
    assert store.check() == []
    assert world.darling.files().link(GUEST_NIX) is None


def test_a_link_of_the_guests_making_is_shown_as_text(store: Store, world: FakeWorld) -> None:
    world.darling.files().write_link(GUEST_NIX, "/\x1b[2J\udcff")
    [drift] = store.check()
    assert drift.detail.startswith("is a link to /\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER},")


def test_anything_else_in_its_place_is_somebody_elses(store: Store, world: FakeWorld) -> None:
    world.darling.files().write(GUEST_NIX, b"precious\n")

    assert [drift.detail for drift in store.check()] == ["is no directory"]
    with pytest.raises(GuestPathError, match="neither a directory nor a link") as caught:
        store.apply()

    assert caught.value.hint
    assert world.darling.files().read(GUEST_NIX) == b"precious\n"


def test_revert_takes_the_mount_point_but_nothing_that_is_in_it(store: Store, world: FakeWorld) -> None:
    store.apply()
    store.revert()
    assert world.darling.files().attributes(GUEST_NIX) is None

    world.darling.files().write(GUEST_NIX / "theirs", b"x")
    store.revert()
    assert world.darling.files().names(GUEST_NIX) == ["theirs"]


def test_revert_leaves_what_is_mounted_while_the_container_runs(store: Store, world: FakeWorld) -> None:
    store.apply()
    boot(world)
    store.mount()

    # Not in silence: what it leaves has to keep the marker.
    with pytest.raises(DarlingError, match="is up, and what is mounted in it cannot be withdrawn"):
        store.revert()

    assert world.host.read(PATHS.store / "hello") == b"hello\n"
    assert world.darling.is_mounted(GUEST_NIX)
