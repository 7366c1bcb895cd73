"""Clients: who is let in besides this machine, and until when."""

from pathlib import Path

import pytest

from darlingbuilder.core import keypair
from darlingbuilder.core.errors import BuilderError, UsageError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.paths import AUTHORIZED_KEYS, GUEST_ETC, SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import clients
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keylist import listed
from darlingbuilder.steps.keyring import Role
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.sshd import Sshd
from darlingbuilder.steps.succession import Succession
from tests.fakes.world import FakeWorld, fake_world

SETTINGS = Settings()
DIRECTORY = Paths(SETTINGS).clients


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """A machine whose guest has an sshd."""
    world = fake_world(tmp_path).with_prefix()
    Keys(SETTINGS, world).apply()
    Sshd(SETTINGS, world).apply()
    return world


@pytest.fixture
def ours(world: FakeWorld) -> Clients:
    return Clients(SETTINGS, world.host)


def a_key(comment: str = "me@laptop") -> PublicKey:
    return keypair.public_of(keypair.generate(comment))


def admitted(world: FakeWorld) -> list[str]:
    return (world.darling.files().read(AUTHORIZED_KEYS) or b"").decode().splitlines()[1:]


def test_a_client_is_let_in_restricted_as_this_machine_is(world: FakeWorld, ours: Clients) -> None:
    # given
    key, own = a_key(), keypair.needed(world.host, Paths(SETTINGS).key)
    # when
    assert ours.add("laptop", key)
    Sshd(SETTINGS, world).admit()
    # then
    assert admitted(world) == [f"restrict {own.text}", f"restrict {key.text}"]
    assert Sshd(SETTINGS, world).check() == []
    assert [(one.name, one.key, one.error) for one in ours.listed()] == [("laptop", key, "")]


def test_admitting_touches_nothing_that_would_need_a_restart(world: FakeWorld, ours: Clients) -> None:
    before = world.darling.files().attributes(SSHD_CONFIG)
    ours.add("laptop", a_key())
    Sshd(SETTINGS, world).admit()
    assert world.darling.files().attributes(SSHD_CONFIG) == before


def test_adding_it_again_changes_nothing(world: FakeWorld, ours: Clients) -> None:
    key = a_key()
    ours.add("laptop", key)
    before = world.host.attributes(DIRECTORY / "laptop.pub")
    assert not ours.add("laptop", key)
    assert world.host.attributes(DIRECTORY / "laptop.pub") == before


def test_a_name_that_is_taken_is_refused(ours: Clients) -> None:
    ours.add("laptop", a_key())
    with pytest.raises(BuilderError, match="there is a client 'laptop' already") as caught:
        ours.add("laptop", a_key())
    assert "client remove laptop" in caught.value.hint


def test_a_key_has_one_name_so_that_one_removal_is_enough(ours: Clients) -> None:
    key = a_key()
    ours.add("laptop", key)
    with pytest.raises(BuilderError, match="is that of the client 'laptop' already"):
        ours.add("desk", PublicKey(key.text, "another comment"))


def test_this_machine_s_own_key_is_no_client_s(world: FakeWorld, ours: Clients) -> None:
    with pytest.raises(BuilderError, match="the key of this machine itself"):
        ours.add("laptop", keypair.needed(world.host, Paths(SETTINGS).key))


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "-x", "x" * 64, "x\n"])
def test_a_name_that_would_be_another_path_is_refused(ours: Clients, name: str) -> None:
    with pytest.raises(UsageError):
        ours.add(name, a_key())
    assert ours.listed() == []


def test_removed_it_is_let_in_no_longer_and_leaves_no_trace(world: FakeWorld, ours: Clients) -> None:
    ours.add("laptop", a_key())
    Sshd(SETTINGS, world).admit()
    ours.remove("laptop")
    Sshd(SETTINGS, world).admit()
    assert len(admitted(world)) == 1
    assert world.host.attributes(DIRECTORY) is None


def test_a_client_that_is_not_there_cannot_be_removed(ours: Clients) -> None:
    with pytest.raises(BuilderError, match="there is no client 'laptop'"):
        ours.remove("laptop")


def test_a_damaged_key_lets_in_nobody_and_keeps_nobody_else_out(world: FakeWorld, ours: Clients) -> None:
    # given
    key = a_key()
    ours.add("laptop", key)
    world.host.write(DIRECTORY / "damaged.pub", b"ssh-ed25519 AAAA\n")
    # when
    Sshd(SETTINGS, world).apply()
    # then
    assert admitted(world)[1:] == [f"restrict {key.text}"]
    [note] = clients.notes(SETTINGS, world.host)
    assert "damaged is not let in" in note.detail
    ours.remove("damaged")
    assert clients.notes(SETTINGS, world.host) == []


def test_what_a_file_holds_besides_a_key_never_reaches_the_guest(world: FakeWorld) -> None:
    world.host.write(DIRECTORY / "sly.pub", f'command="sh" {a_key().line}'.encode())
    world.host.write(DIRECTORY / "two.pub", (a_key().line + a_key().line).encode())
    Sshd(SETTINGS, world).apply()
    assert len(admitted(world)) == 1


def test_a_guest_that_has_no_sshd_yet_is_left_to_init(tmp_path: Path) -> None:
    world = fake_world(tmp_path)
    Keys(SETTINGS, world).apply()
    Clients(SETTINGS, world.host).add("laptop", a_key())
    Sshd(SETTINGS, world).admit()
    assert world.darling.files().attributes(GUEST_ETC) is None


def test_a_client_is_no_stranger_among_the_keys(world: FakeWorld, ours: Clients) -> None:
    ours.add("laptop", a_key())
    Sshd(SETTINGS, world).admit()
    assert {one.stage for one in listed(SETTINGS, world)} == {"in use"}
    # But one that is let in without being known is.
    world.host.remove(DIRECTORY / "laptop.pub")
    assert [one.stage for one in listed(SETTINGS, world) if one.role is Role.USER] == ["in use", "unknown"]


def test_a_rotation_of_the_user_key_lets_clients_in_all_the_time(world: FakeWorld, ours: Clients) -> None:
    key = a_key()
    ours.add("laptop", key)
    Succession(SETTINGS, world, Role.USER).generate()
    Sshd(SETTINGS, world).apply()
    assert len(admitted(world)) == 3
    assert admitted(world)[-1] == f"restrict {key.text}"


@pytest.mark.parametrize("purge", [False, True])
def test_the_end_of_a_builder_is_the_end_of_its_clients(world: FakeWorld, ours: Clients, *, purge: bool) -> None:
    ours.add("laptop", a_key())
    Keys(SETTINGS, world, purge=purge).revert()
    assert world.host.attributes(DIRECTORY) is None
    Keys(SETTINGS, world, purge=purge).revert()
