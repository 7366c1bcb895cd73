"""Every key is listed: where it stands, whose it is, and one that the guest alone has."""

from pathlib import Path

import pytest

from darlingbuilder.core import keypair
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.paths import AUTHORIZED_KEYS, HOST_KEY, Paths, next_of
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.keylist import Listed, listed
from darlingbuilder.steps.keyring import Keyring, Role, notes
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.sshd import Sshd
from darlingbuilder.steps.succession import Succession
from tests.fakes.world import FakeWorld, fake_world

PATHS = Paths(Settings())


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    made = fake_world(tmp_path).with_prefix()
    for step in (Keys, Sshd):
        step(Settings(), made).apply()
    return made


def found(world: FakeWorld, role: Role) -> list[Listed]:
    return [one for one in listed(Settings(), world) if one.role is role]


@pytest.mark.parametrize("role", Role)
def test_a_key_of_ours_stands_on_the_host_and_in_the_guest(world: FakeWorld, role: Role) -> None:
    (one,) = found(world, role)
    assert one.key is not None
    assert one.age is not None
    assert one.key.text == keypair.needed(world.host, one.path).text
    assert (one.stage, one.host, one.guest, one.whose, one.error) == ("in use", True, True, "darlingbuilder", "")
    assert 0 <= one.age < 60


def test_a_next_key_is_in_the_guest_as_soon_as_it_is_admitted(world: FakeWorld) -> None:
    Succession(Settings(), world, Role.USER).generate()
    assert [(one.stage, one.guest) for one in found(world, Role.USER)] == [("in use", True), ("next", False)]
    Sshd(Settings(), world).apply()
    assert [(one.stage, one.guest) for one in found(world, Role.USER)] == [("in use", True), ("next", True)]


def test_keys_that_the_guest_alone_has_are_shown(world: FakeWorld) -> None:
    strangers = [keypair.generate("stranger") for _ in range(2)]
    line = f"restrict {keypair.public_of(strangers[0]).line}"
    files = world.darling.files()
    files.write(AUTHORIZED_KEYS, (files.read(AUTHORIZED_KEYS) or b"") + line.encode() + b"restrict no key\n\xff\n\n")
    files.write(HOST_KEY, strangers[1])
    for role, secret, path in zip(Role, strangers, (AUTHORIZED_KEYS, HOST_KEY), strict=True):
        one = found(world, role)[-1]
        assert one.key is not None
        assert one.key.text == keypair.public_of(secret).text
        assert (one.stage, one.path, one.host, one.guest, one.age) == ("unknown", path, False, True, None)


def test_whose_a_key_is(world: FakeWorld) -> None:
    world.host.create(Path("/run/key"), keypair.generate("sops"), mode=0o400, owner=ROOT)
    world.host.remove(PATHS.key)
    world.host.write_link(PATHS.key, str(world.host.real(Path("/run/key"))))
    world.host.write(PATHS.host_key, keypair.generate("me@here"), mode=0o600)
    assert [one.whose for one in listed(Settings(), world) if one.stage == "in use"] == [
        f"kept at {world.host.real(Path('/run/key'))}",
        "your own",
    ]


def test_a_key_that_cannot_be_used_says_why(world: FakeWorld) -> None:
    world.host.write(PATHS.key, b"nonsense", mode=0o600)
    one = found(world, Role.USER)[0]
    assert (one.key, one.error, one.guest) == (None, "is not a private key", False)


def test_on_an_empty_machine_the_keys_are_absent(tmp_path: Path) -> None:
    for one in listed(Settings(), fake_world(tmp_path)):
        assert (one.key, one.host, one.guest, one.whose, one.error) == (None, False, False, "nobody", "is absent")


def test_a_next_key_is_remarked_on(world: FakeWorld) -> None:
    assert notes(Settings(), world.host) == []
    Succession(Settings(), world, Role.HOST).generate()
    (note,) = notes(Settings(), world.host)
    assert note.what == str(PATHS.host_key)
    assert note.hint.endswith("darlingbuilder keys rotate --host")


@pytest.mark.parametrize("role", Role)
def test_a_next_key_that_cannot_be_used_is_drift_and_nothing_is_changed(world: FakeWorld, role: Role) -> None:
    path = next_of(Keyring(Settings(), world.host).path(role))
    world.host.write(path, b"nonsense", mode=0o600)
    assert str(path) in {drift.what for drift in Keys(Settings(), world).check()}
    with pytest.raises(KeyFileError):
        Keys(Settings(), world).apply()
    world.host.write(path, keypair.generate("x"), mode=0o644)
    assert [drift.detail for drift in Keys(Settings(), world).check() if drift.what == str(path)] == [
        "mode is 0644, should be 0600"
    ]
