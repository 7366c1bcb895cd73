"""The prefix: made by its first boot, made anew where that was interrupted, never by hand."""

from pathlib import Path

import pytest

from darlingbuilder.core.errors import DarlingError, PrerequisiteError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import PASSWD, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prefix import Prefix
from tests.fakes.furnished import seen, times
from tests.fakes.world import FakeWorld, fake_world

PATHS = Paths(Settings())


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """Give a machine with the service user and a state directory."""
    world = fake_world(tmp_path).with_user()
    world.host.make_directory(PATHS.state)
    return world


@pytest.fixture
def prefix(world: FakeWorld) -> Prefix:
    return Prefix(Settings(), world)


def details(prefix: Prefix) -> list[str]:
    return [drift.detail for drift in prefix.check()]


def test_it_is_made_by_one_boot_and_left_down(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()

    assert prefix.check() == []
    assert world.darling.boots == 1
    assert world.darling.server() is None
    assert world.darling.files().read(Path("/.init.pid")) is None


def test_its_parent_belongs_to_the_service_user_alone(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()

    account, found = world.accounts.find("darlingbuilder"), world.host.attributes(PATHS.prefix.parent)
    assert account is not None
    assert found is not None
    assert (found.mode, found.owner) == (0o750, account.owner)


def test_one_that_is_there_is_not_booted_again(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    before = seen(world.host.root), times(world.host.root)

    prefix.apply()

    assert (seen(world.host.root), times(world.host.root)) == before
    assert world.darling.boots == 1


def test_what_the_first_boot_prints_is_kept(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    assert b"Setting up a new Darling prefix" in (world.host.read(PATHS.boot_log) or b"")


def test_a_directory_without_a_passwd_is_half_made_and_made_anew(prefix: Prefix, world: FakeWorld) -> None:
    # given: a first boot that was interrupted
    world.darling.interrupted_boots = 1
    with pytest.raises(DarlingError, match="did not boot"):
        prefix.apply()
    assert "half-made" in details(prefix)[0]
    # when
    prefix.apply()
    # then
    assert prefix.check() == []
    assert world.darling.boots == 2


def test_an_empty_directory_in_its_place_is_half_made(prefix: Prefix, world: FakeWorld) -> None:
    world.host.make_directory(PATHS.prefix)

    assert "half-made" in details(prefix)[-1]
    prefix.apply()
    assert prefix.check() == []


def test_the_overlays_work_directory_goes_with_a_half_made_prefix(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    world.host.write(PATHS.workdir / "work" / "#1", b"")
    world.darling.files().remove(PASSWD)

    prefix.apply()

    assert world.host.attributes(PATHS.workdir) is None


@pytest.mark.parametrize(
    "line",
    [
        "other:*:{uid}:{gid}:Darling User:/Users/other:/bin/bash",
        "darlingbuilder:*:99999:{gid}:Darling User:/Users/darlingbuilder:/bin/bash",
        "darlingbuilder:*:{uid}:99999:Darling User:/Users/darlingbuilder:/bin/bash",
        "notdarlingbuilder:*:{uid}:{gid}:Darling User:/Users/darlingbuilder:/bin/bash",
        "",
    ],
    ids=["name", "uid", "gid", "longer name", "nobody"],
)
def test_one_that_was_made_for_another_user_is_made_anew(prefix: Prefix, world: FakeWorld, line: str) -> None:
    # given: the user was deleted, say, and made again with another uid
    prefix.apply()
    account = world.accounts.find("darlingbuilder")
    assert account is not None
    text = line.format(uid=account.owner.uid, gid=account.owner.gid)
    world.darling.files().write(PASSWD, f"root:*:0:0::/var/root:/bin/sh\n{text}\n".encode())
    # then
    assert details(prefix) == ["was made for another user than darlingbuilder"]
    prefix.apply()
    assert prefix.check() == []


def test_a_running_container_is_brought_down_before_its_prefix_goes(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    with world.host.real(PATHS.boot_log).open("ab") as log:
        world.darling.boot(log)

    prefix.revert()

    assert world.darling.server() is None
    assert world.host.attributes(PATHS.prefix) is None


def test_a_parent_that_belongs_to_another_is_given_to_the_user(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    world.host.make_directory(PATHS.prefix.parent, mode=0o750, owner=Owner(4712, 4712))

    [drift] = prefix.check()
    prefix.apply()

    assert "does not belong to darlingbuilder" in drift.detail
    assert prefix.check() == []
    assert world.darling.boots == 1


def test_without_the_service_user_it_cannot_be_made(prefix: Prefix, world: FakeWorld) -> None:
    world.accounts.delete("darlingbuilder")

    assert prefix.check() != []
    with pytest.raises(PrerequisiteError, match="there is no user darlingbuilder"):
        prefix.apply()


def test_without_a_launcher_nothing_half_made_is_left(prefix: Prefix, world: FakeWorld) -> None:
    world.darling.installed = False

    with pytest.raises(PrerequisiteError, match="no launcher"):
        prefix.apply()

    assert world.host.attributes(PATHS.prefix) is None


def test_revert_leaves_what_else_is_beside_it(prefix: Prefix, world: FakeWorld) -> None:
    prefix.apply()
    world.host.write(PATHS.workdir / "work", b"")
    world.host.write(PATHS.prefix.parent / "theirs", b"x")

    for _ in range(2):
        prefix.revert()

    assert world.host.names(PATHS.prefix.parent) == ["theirs"]
    assert world.host.attributes(PATHS.boot_log) is None
