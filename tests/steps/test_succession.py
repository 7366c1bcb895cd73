"""The next key: made here only for one of ours, and brought in only if nobody but root could have touched it."""

import base64
import os
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import keypair
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths, next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.keyring import IMPORTED_COMMENT, Keyring, Role
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.succession import Succession
from tests.fakes.furnished import seen
from tests.fakes.host import HOST_KEY, make_host
from tests.fakes.world import FakeWorld, fake_world

PATHS = Paths(Settings())
NEXT = next_of(PATHS.key)
SECRET = Path("/run/secrets/builder")
needs_ssh_keygen = pytest.mark.skipif(process.find("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    made = fake_world(tmp_path)
    Keys(Settings(), made).apply()
    return made


@pytest.fixture
def user(world: FakeWorld) -> Succession:
    return Succession(Settings(), world, Role.USER)


def keep(world: FakeWorld, content: bytes, *, mode: int = 0o400, owner: Owner = ROOT, path: Path = SECRET) -> Path:
    """Keep a secret."""
    world.host.make_directory(path.parent)
    world.host.create(path, content, mode=mode, owner=owner)
    return path


def coming(world: FakeWorld) -> str | None:
    key = Keyring(Settings(), world.host).coming(Role.USER)
    return key.text if key else None


def test_the_next_key_is_made_once(user: Succession, world: FakeWorld) -> None:
    user.generate()
    first = world.host.read(NEXT)
    user.generate()
    found = world.host.attributes(NEXT)
    assert found is not None
    assert (world.host.read(NEXT), found.mode, found.owner) == (first, 0o600, ROOT)
    assert Keyring(Settings(), world.host).is_ours(NEXT)


def test_a_key_of_ones_own_is_not_replaced_by_one_of_ours(user: Succession, world: FakeWorld) -> None:
    world.host.write(PATHS.key, keypair.generate("me@here"), mode=0o600)
    with pytest.raises(KeyFileError, match="a key of your own") as caught:
        user.generate()
    assert "keys import --user FILE" in caught.value.hint
    assert coming(world) is None


def test_a_key_that_is_kept_elsewhere_is_not_replaced_by_one_of_ours(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("darling-builder@elsewhere"))
    world.host.remove(PATHS.key)
    world.host.write_link(PATHS.key, str(world.host.real(secret)))
    with pytest.raises(KeyFileError, match=r"kept elsewhere \(.*/run/secrets/builder\)"):
        user.generate()


def test_a_secret_is_linked_to_and_not_touched(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("sops"))
    before = world.host.attributes(secret), world.host.read(secret)
    assert user.bring(secret, copy=False)
    assert world.host.link(NEXT) == str(world.host.real(secret))
    assert (world.host.attributes(secret), world.host.read(secret)) == before


def test_a_copy_is_taken_to_the_letter_and_for_root_alone(user: Succession, world: FakeWorld) -> None:
    content = keypair.generate("vault")
    assert user.bring(keep(world, content), copy=True)
    found = world.host.attributes(NEXT)
    assert found is not None
    assert (world.host.read(NEXT), found.mode, world.host.link(NEXT)) == (content, 0o600, None)


def test_a_credential_is_copied_though_its_group_may_read_it(user: Succession, world: FakeWorld) -> None:
    credential = Path("/run/credentials/some.service/key")
    assert user.bring(keep(world, keypair.generate("x"), mode=0o440, path=credential), copy=False)
    assert world.host.link(NEXT) is None


def test_a_credential_is_known_by_what_systemd_says(
    user: Succession, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/srv/elsewhere")
    assert user.bring(keep(world, keypair.generate("x"), path=Path("/srv/elsewhere/key")), copy=False)
    assert world.host.link(NEXT) is None


def test_a_secret_that_is_in_use_already_changes_nothing(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("sops"))
    world.host.remove(PATHS.key)
    world.host.write_link(PATHS.key, str(world.host.real(secret)))
    assert not user.bring(secret, copy=False)
    assert coming(world) is None


def test_the_same_file_brought_again_goes_on_and_another_one_is_refused(user: Succession, world: FakeWorld) -> None:
    secret, other = (keep(world, keypair.generate(name), path=SECRET / name) for name in ("one", "other"))
    assert user.bring(secret, copy=False)
    first = coming(world)
    assert user.bring(secret, copy=False)
    with pytest.raises(KeyFileError, match="being replaced by another key already") as caught:
        user.bring(other, copy=False)
    assert "keys rotate --user" in caught.value.hint
    assert coming(world) == first


@pytest.mark.parametrize("place", ["/root/keys/k", "/home/me/k", "/tmp/k", "/var/tmp/x/k"])  # noqa: S108 - names
def test_a_secret_that_serve_does_not_see_is_copied_or_refused(
    user: Succession, world: FakeWorld, place: str
) -> None:
    secret = keep(world, keypair.generate("mine"), path=Path(place))
    with pytest.raises(KeyFileError, match="does not see") as caught:
        user.bring(secret, copy=False)
    assert "keys import --user FILE --copy" in caught.value.hint
    assert coming(world) is None
    assert user.bring(secret, copy=True)
    assert world.host.link(NEXT) is None


def test_a_link_to_where_serve_does_not_see_is_refused(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("mine"), path=Path("/root/keys/builder"))
    world.host.write_link(SECRET, str(world.host.real(secret)))
    with pytest.raises(KeyFileError, match="does not see"):
        user.bring(SECRET, copy=False)


def test_a_secret_beside_a_key_in_a_home_is_linked_to(world: FakeWorld) -> None:
    settings = Settings(key="/root/keys/key")
    Keys(settings, world).apply()
    secret = keep(world, keypair.generate("mine"), path=Path("/root/keys/other"))
    assert Succession(settings, world, Role.USER).bring(secret, copy=False)
    assert world.host.link(Path("/root/keys/key.next")) == str(world.host.real(secret))


def test_a_link_that_leads_to_itself_is_refused(user: Succession, world: FakeWorld) -> None:
    world.host.write_link(SECRET, str(world.host.real(SECRET)))
    with pytest.raises(KeyFileError, match="is a link"):
        user.bring(SECRET, copy=False)


def test_what_would_follow_is_only_looked_at(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("sops"))
    before = seen(world.host.root)
    assert user.would_follow(secret, copy=False)
    user.refuse_keeper()
    assert seen(world.host.root) == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_may_read_is_refused(user: Succession, world: FakeWorld, mode: int) -> None:
    with pytest.raises(KeyFileError, match=f"mode is {mode:04o}"):
        user.bring(keep(world, keypair.generate("x"), mode=mode), copy=True)
    assert coming(world) is None


def test_a_secret_of_another_user_is_refused(user: Succession, world: FakeWorld) -> None:
    secret = keep(world, keypair.generate("x"), mode=0o600)
    world.host.set_attributes(secret, mode=0o600, owner=Owner(4712, 4712))
    with pytest.raises(KeyFileError, match="user 4712"):
        user.bring(secret, copy=False)


def test_a_secret_within_the_guests_reach_is_refused(user: Succession, world: FakeWorld) -> None:
    inside = PATHS.prefix / "private/key"
    with pytest.raises(KeyFileError, match="the guest could put another key there"):
        user.bring(keep(world, keypair.generate("x"), path=inside), copy=False)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not a private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n", "another format than OpenSSH's"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n", "is cut short"),
    ],
)
def test_what_is_no_key_is_refused(user: Succession, world: FakeWorld, content: bytes, why: str) -> None:
    with pytest.raises(KeyFileError, match=why):
        user.bring(keep(world, content), copy=False)


@needs_ssh_keygen
@pytest.mark.parametrize(
    ("options", "why"),
    [(("-t", "ed25519", "-N", "word"), "passphrase"), (("-t", "ecdsa", "-N", ""), "of type ecdsa")],
)
def test_a_key_of_another_kind_is_refused(
    user: Succession, world: FakeWorld, tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    process.run("ssh-keygen", "-q", *options, "-f", tmp_path / "made")
    with pytest.raises(KeyFileError, match=why):
        user.bring(keep(world, (tmp_path / "made").read_bytes()), copy=False)


def test_a_file_that_is_not_there_is_refused(user: Succession) -> None:
    with pytest.raises(KeyFileError, match="is absent"):
        user.bring(Path("/run/secrets/none"), copy=False)


def test_a_directory_is_refused(user: Succession, world: FakeWorld) -> None:
    world.host.make_directory(SECRET)
    with pytest.raises(KeyFileError, match="is a directory"):
        user.bring(SECRET, copy=False)


@pytest.mark.parametrize("path", [PATHS.key, NEXT])
def test_the_builders_own_key_is_not_brought_in(user: Succession, path: Path) -> None:
    with pytest.raises(KeyFileError, match="builder's own key"):
        user.bring(path, copy=False)


def test_a_key_of_ones_own_is_never_replaced_by_an_import(user: Succession, world: FakeWorld) -> None:
    world.host.write(PATHS.key, keypair.generate("me@here"), mode=0o600)
    with pytest.raises(KeyFileError, match="never replaced") as caught:
        user.bring(keep(world, keypair.generate("x")), copy=True)
    assert "move it away" in caught.value.hint


def test_a_copy_that_was_brought_in_may_be_followed_by_another(user: Succession, world: FakeWorld) -> None:
    content = keypair.generate("vault")
    world.host.write(PATHS.key, content, mode=0o600)
    line = f"{keypair.public_of(content).text} {IMPORTED_COMMENT}{os.uname().nodename}\n"
    world.host.write(public_half(PATHS.key), line.encode())
    assert user.bring(keep(world, keypair.generate("x")), copy=True)


@pytest.mark.parametrize("place", ["/nix/store/x-etc", "/etc/static/nix"])
def test_a_link_that_the_systems_configuration_makes_is_left_alone(
    user: Succession, world: FakeWorld, place: str
) -> None:
    world.host.remove(PATHS.key)
    world.host.write_link(PATHS.key, f"{place}/key")
    with pytest.raises(KeyFileError, match="configuration makes"):
        user.bring(keep(world, keypair.generate("x")), copy=True)


def test_a_machines_line_of_others_that_pins_the_old_key_is_refused(tmp_path: Path) -> None:
    pinned = base64.b64encode(HOST_KEY).decode()
    line = f"ssh-ng://darling-builder x86_64-darwin /k 1 1 - - {pinned}\n"
    host = make_host(tmp_path, machines=line.encode())
    unregistered = Settings(register=False)
    with pytest.raises(KeyFileError, match="pins the host key in use") as caught:
        Succession(unregistered, host.world, Role.HOST).refuse_foreign_pin()
    assert "publicHostKey" in caught.value.hint
    Succession(unregistered, host.world, Role.USER).refuse_foreign_pin()
    Succession(Settings(), host.world, Role.HOST).refuse_foreign_pin()


@pytest.mark.skipif(process.find("ssh") is None, reason="needs ssh")
def test_an_alias_that_knows_the_host_key_from_elsewhere_is_refused(tmp_path: Path) -> None:
    # This machine's ssh has no such alias, and looks into its user's own known_hosts.
    host = make_host(tmp_path, machines=b"ssh-ng://darling-builder x86_64-darwin /k 1 1\n")
    with pytest.raises(KeyFileError, match="which is not ours") as caught:
        Succession(Settings(register=False), host.world, Role.HOST).refuse_foreign_pin()
    assert f"UserKnownHostsFile {PATHS.known_hosts}" in caught.value.hint


def test_where_nobody_has_registered_the_builder_nobody_pins_its_key(tmp_path: Path) -> None:
    Succession(Settings(register=False), make_host(tmp_path).world, Role.HOST).refuse_foreign_pin()
