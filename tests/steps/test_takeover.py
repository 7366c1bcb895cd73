"""Directories that others use are neither given away nor opened nor closed; those that nobody uses are taken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.core import unfinished
from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.ownership import Ownership
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen, seen
from tests.fakes.world import FakeWorld, beside

DATA = Path("/data")
ALICE = Owner(4711, 4711)
BESIDE_OTHERS = chosen(prefix="/data/darling")
OF_ALICE = chosen(state="/srv/alice")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a machine in use, without a builder."""
    with machine() as made:
        yield made


def attributes(world: FakeWorld, path: Path) -> Attributes:
    found = world.host.attributes(path)
    assert found
    return found


def refused(world: FakeWorld, config: Config) -> ForeignFileError:
    """Give the error of a builder that is refused before anything is changed."""
    before = seen(world.host.root)
    with pytest.raises(ForeignFileError) as raised:
        Ownership(config, world).refuse()
    with pytest.raises(ForeignFileError):
        Ownership(config, world).apply()
    assert seen(world.host.root) == before
    return raised.value


def made(world: FakeWorld, config: Config) -> None:
    builder = beside(world, config.settings)
    make(builder, config)
    assert Ownership(config, builder).check() == []


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_disk_that_others_use_is_not_given_to_the_guest(world: FakeWorld, mode: int) -> None:
    world.host.write(DATA / "backups/monday", b"precious")
    world.host.make_directory(DATA, mode=mode, owner=ROOT)

    error = refused(world, BESIDE_OTHERS)

    assert "/data holds backups, and would belong to darlingbuilder, with mode 0750" in str(error)
    assert 'prefix = "/data/darling-builder/darling"' in error.hint
    made(world, chosen(prefix="/data/darling-builder/darling"))


@pytest.mark.parametrize("name", ["letters", "keys"])
def test_a_home_does_not_become_roots(world: FakeWorld, name: str) -> None:
    state = Paths(OF_ALICE.settings).state
    world.host.write(state / name / "love", b"private")
    world.host.make_directory(state, mode=0o700, owner=ALICE)

    error = refused(world, OF_ALICE)

    assert f"/srv/alice holds {name}, and would belong to root, with mode 0755" in str(error)
    assert 'state = "/srv/alice/darling-builder"' in error.hint
    assert (attributes(world, state).owner, attributes(world, state).mode) == (ALICE, 0o700)


def test_roots_own_secrets_are_not_opened_to_all(world: FakeWorld) -> None:
    state = Paths(OF_ALICE.settings).state
    world.host.write(state / "secret", b"x")
    world.host.make_directory(state, mode=0o700, owner=ROOT)

    assert "/srv/alice holds secret" in str(refused(world, OF_ALICE))


def test_a_link_to_where_others_keep_something_is_no_way_around(world: FakeWorld) -> None:
    world.host.write(DATA / "backups", b"precious")
    world.host.make_directory(DATA, mode=0o700, owner=ROOT)
    world.host.write_link(Path("/srv/alice"), str(world.host.real(DATA)))

    refused(world, OF_ALICE)


@pytest.mark.parametrize("content", [None, "lost+found"])
def test_a_directory_that_nobody_uses_is_taken(world: FakeWorld, content: str | None) -> None:
    # given: as a new disk is, or what StateDirectory= and tmpfiles.d have made
    for config, path in ((BESIDE_OTHERS, DATA), (OF_ALICE, Path("/srv/alice"))):
        world.host.make_directory(path, mode=0o700, owner=ALICE)
        if content:
            world.host.make_directory(path / content, mode=0o700, owner=ROOT)
        Ownership(config, world).refuse()


def test_what_changes_neither_owner_nor_mode_takes_nothing_from_anybody(world: FakeWorld) -> None:
    # given: the prefix of the one builder beside what another program of its user's keeps, its state beside roots'
    world.with_user()
    account = world.accounts.find("darlingbuilder")
    world.host.write(DATA / "cache", b"x")
    world.host.make_directory(DATA, mode=0o750, owner=account.owner if account else None)
    world.host.write(Path("/srv/alice/backups"), b"x")
    world.host.make_directory(Path("/srv/alice"), mode=0o755, owner=ROOT)

    made(world, chosen(prefix="/data/darling", state="/srv/alice"))

    assert world.host.read(DATA / "cache") == b"x"


def test_the_rest_of_an_earlier_builder_is_taken_up_again(world: FakeWorld) -> None:
    # given: an administrator has closed what uninstall left, the keys
    made(world, OF_ALICE)
    state = Paths(OF_ALICE.settings).state
    for path in ("builder.json", "guest", "nix", "known_hosts", "guest.log", "pristine"):
        world.host.remove(state / path)
    world.host.make_directory(state, mode=0o700, owner=ROOT)
    assert "keys" in world.host.names(state)

    Ownership(OF_ALICE, world).refuse()


@pytest.mark.parametrize("stage", ["made", "given", "opened", "marked"])
def test_a_state_that_an_init_was_killed_in_is_its_own(world: FakeWorld, stage: str) -> None:
    """How far it came beyond that, tests/steps/test_interruptions.py has: from the marker on all is ours."""
    state = Paths(OF_ALICE.settings).state
    mode = {"made": 0o700, "given": 0o700}.get(stage, 0o755)
    world.host.make_directory(state, mode=mode, owner=ALICE if stage == "made" else ROOT)
    if stage == "marked":
        world.host.write(state / unfinished.name_for("builder.json"), b"{")

    made(world, OF_ALICE)
