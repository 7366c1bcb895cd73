"""What the guest's sshd reads: validated, written into the prefix, never through a link of the guest's."""

import os
from pathlib import Path

import pytest

from darlingbuilder.core import keypair
from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, GuestPathError, KeyFileError, PrerequisiteError
from darlingbuilder.core.managed import HEADER
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import AUTHORIZED_KEYS, GUEST_ETC, HOST_KEY, SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.sshd import Sshd, session_environment
from tests.fakes.world import FakeWorld, fake_world

FILES = (HOST_KEY, SSHD_CONFIG, AUTHORIZED_KEYS)
PATHS = Paths(Settings())


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """A machine on which the steps before this one are done."""
    world = fake_world(tmp_path).with_prefix()
    Keys(Settings(), world).apply()
    return world


@pytest.fixture
def guest(world: FakeWorld) -> Tree:
    return world.darling.files()


@pytest.fixture
def sshd(world: FakeWorld) -> Sshd:
    return Sshd(Settings(), world)


def options(guest: Tree) -> dict[str, str]:
    """The configuration as sshd reads it: of a keyword's lines the first counts."""
    found: dict[str, str] = {}
    for line in (guest.read(SSHD_CONFIG) or b"").decode().splitlines():
        keyword, _, value = line.partition(" ")
        if keyword and not keyword.startswith("#"):
            found.setdefault(keyword, value)
    return found


def state(guest: Tree) -> dict[Path, tuple[Attributes | None, bytes | None]]:
    return {path: (guest.attributes(path), guest.read(path)) for path in (GUEST_ETC, *FILES)}


def test_on_an_empty_machine_all_is_absent(tmp_path: Path) -> None:
    drift = Sshd(Settings(), fake_world(tmp_path)).check()
    assert [one.what for one in drift] == [str(GUEST_ETC), str(HOST_KEY), str(SSHD_CONFIG), str(AUTHORIZED_KEYS)]


def test_in_a_fresh_prefix_all_is_absent(sshd: Sshd) -> None:
    assert {one.detail for one in sshd.check()} == {"absent"}


def test_the_files_are_written_for_those_who_read_them(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    # when
    sshd.apply()
    # then
    assert sshd.check() == []
    account = world.accounts.find("darlingbuilder")
    assert account is not None
    expected = {GUEST_ETC: (0o755, ROOT), HOST_KEY: (0o600, account.owner), SSHD_CONFIG: (0o644, ROOT)}
    for path, attributes in expected.items():
        found = guest.attributes(path)
        assert found is not None
        assert (found.mode, found.owner) == attributes
    assert guest.read(HOST_KEY) == world.host.read(PATHS.host_key)


def test_one_key_may_log_in_and_is_restricted(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    sshd.apply()
    key = keypair.needed(world.host, PATHS.key)
    lines = (guest.read(AUTHORIZED_KEYS) or b"").decode().splitlines()
    assert lines[0].startswith(HEADER)
    assert lines[1:] == [f"restrict {key.text}"]


def test_the_configuration_lets_in_one_user_by_key_on_loopback(sshd: Sshd, guest: Tree) -> None:
    sshd.apply()
    said = options(guest)
    expected = {
        "Port": "2222",
        "ListenAddress": "127.0.0.1",
        "HostKey": "/private/etc/darlingbuilder/ssh_host_ed25519_key",
        "AuthorizedKeysFile": "/private/etc/darlingbuilder/authorized_keys",
        "AllowUsers": "darlingbuilder",
        "AuthenticationMethods": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ChallengeResponseAuthentication": "no",
        "PermitRootLogin": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "PidFile": "none",
        "DisableForwarding": "yes",
        "X11Forwarding": "no",
        "PermitUserEnvironment": "no",
        "Subsystem": "sftp /usr/libexec/sftp-server",
    }
    assert said.items() >= expected.items()
    assert (guest.read(SSHD_CONFIG) or b"").decode().startswith(HEADER)


def test_the_environment_of_a_session_stands_on_one_line(sshd: Sshd, guest: Tree) -> None:
    sshd.apply()
    lines = (guest.read(SSHD_CONFIG) or b"").decode().splitlines()
    [line] = [line for line in lines if line.startswith("SetEnv")]
    assert dict(word.split("=", 1) for word in line.split()[1:]) == session_environment()
    assert session_environment()["PATH"].split(":")[0] == "/nix/var/nix/profiles/default/bin"


def test_applying_again_changes_nothing(sshd: Sshd, guest: Tree) -> None:
    sshd.apply()
    before = state(guest)
    sshd.apply()
    assert state(guest) == before


def test_a_changed_port_is_drift_that_shows_it(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    # given
    sshd.apply()
    moved = Sshd(Settings(port=2022), world)
    # when
    [drift] = moved.check()
    moved.apply()
    # then
    assert "-Port 2222" in drift.diff
    assert "+Port 2022" in drift.diff
    assert moved.check() == []
    assert options(guest)["Port"] == "2022"


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_is_gone_or_edited_is_put_right(sshd: Sshd, guest: Tree, path: Path) -> None:
    sshd.apply()
    found, content = guest.attributes(path), guest.read(path)
    assert found is not None
    for wrong in (None, (content or b"") + b"# edited\n"):
        guest.remove(path)
        if wrong:
            guest.write(path, wrong, mode=found.mode, owner=found.owner)
        assert [drift.what for drift in sshd.check()] == [str(path)]
        sshd.apply()
        assert sshd.check() == []
        assert guest.read(path) == content


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("owner", [ROOT, None, Owner(4712, 4712)])
def test_a_wrong_mode_or_owner_is_put_right(
    sshd: Sshd, guest: Tree, world: FakeWorld, path: Path, owner: Owner | None
) -> None:
    # given
    sshd.apply()
    account = world.accounts.find("darlingbuilder")
    assert account is not None
    guest.set_attributes(path, mode=0o666, owner=owner or account.owner)
    # then
    assert [drift.what for drift in sshd.check()] == [str(path)]
    sshd.apply()
    assert sshd.check() == []


def test_a_new_key_of_the_host_is_taken_over(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    # given: the administrator has replaced both keys
    sshd.apply()
    for path in (PATHS.key, PATHS.host_key):
        world.host.write(path, keypair.generate("new"), mode=0o600)
    # then
    assert [drift.what for drift in sshd.check()] == [str(HOST_KEY), str(AUTHORIZED_KEYS)]
    sshd.apply()
    assert sshd.check() == []
    assert guest.read(HOST_KEY) == world.host.read(PATHS.host_key)


def test_what_the_hosts_sshd_refuses_is_not_written(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    # given
    sshd.apply()
    before = state(guest)
    world.ssh.complaint = "sshd_config: line 7: Bad configuration option: Prot"
    # when
    with pytest.raises(BuilderError, match="line 7: Bad configuration option: Prot"):
        Sshd(Settings(port=2022), world).apply()
    # then
    assert state(guest) == before


def test_a_host_without_sshd_is_good_enough(sshd: Sshd, world: FakeWorld) -> None:
    world.ssh.installed = False
    sshd.apply()
    assert sshd.check() == []


@pytest.mark.parametrize("path", [PATHS.key, PATHS.host_key])
def test_without_the_keys_nothing_is_written(sshd: Sshd, guest: Tree, world: FakeWorld, path: Path) -> None:
    world.host.remove(path)
    with pytest.raises(KeyFileError, match="is absent"):
        sshd.apply()
    assert guest.attributes(GUEST_ETC) is None


@pytest.mark.parametrize("path", [PATHS.key, PATHS.host_key])
def test_a_key_that_has_become_unusable_is_drift(sshd: Sshd, world: FakeWorld, path: Path) -> None:
    sshd.apply()
    world.host.write(path, b"damaged\n", mode=0o600)
    [drift] = sshd.check()
    assert "is not a private key" in drift.detail


def test_without_the_service_user_nothing_is_written(sshd: Sshd, guest: Tree, world: FakeWorld) -> None:
    world.accounts.delete("darlingbuilder")
    assert sshd.check() != []
    with pytest.raises(PrerequisiteError, match="there is no user darlingbuilder"):
        sshd.apply()
    assert guest.attributes(GUEST_ETC) is None


def test_a_link_in_the_directorys_place_is_reported_and_not_followed(sshd: Sshd, guest: Tree, tmp_path: Path) -> None:
    # given: the guest's user has moved our directory and put a link to the host in its place
    sshd.apply()
    outside = tmp_path / "outside"
    (guest.root / GUEST_ETC.relative_to("/")).rename(outside)
    (guest.root / GUEST_ETC.relative_to("/")).symlink_to(outside)
    before = sorted((path.name, path.read_bytes()) for path in outside.iterdir())
    # when
    [drift] = sshd.check()
    with pytest.raises(GuestPathError):
        sshd.apply()
    sshd.revert()
    # then
    assert isinstance(drift, Drift)
    assert "no directory of its own" in drift.detail
    assert sorted((path.name, path.read_bytes()) for path in outside.iterdir()) == before


@pytest.mark.parametrize("path", FILES)
def test_a_link_in_a_files_place_is_replaced_and_neither_read_nor_written_through(
    sshd: Sshd, guest: Tree, tmp_path: Path, path: Path
) -> None:
    # given
    sshd.apply()
    outside = tmp_path / "outside"
    (guest.root / path.relative_to("/")).rename(outside)
    (guest.root / path.relative_to("/")).symlink_to(outside)
    before = outside.read_bytes()
    # then
    assert [drift.what for drift in sshd.check()] == [str(path)]
    sshd.apply()
    assert sshd.check() == []
    assert outside.read_bytes() == before


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("kind", ["a file without our header", "a file without an end", "a pipe", "a directory"])
def test_what_somebody_in_the_guest_puts_in_a_files_place_keeps_us_from_nothing(
    sshd: Sshd, guest: Tree, path: Path, kind: str
) -> None:
    # given
    sshd.apply()
    place = guest.root / path.relative_to("/")
    place.unlink()
    match kind:
        case "a pipe":
            os.mkfifo(place)
        case "a directory":
            (place / "full").mkdir(parents=True)
        case _:
            place.write_bytes(b"restrict ssh-ed25519 theirs\n")
            os.truncate(place, 1 << 40 if kind == "a file without an end" else 30)
    # then
    assert str(path) in {drift.what for drift in sshd.check()}
    sshd.apply()
    assert sshd.check() == []


def test_revert_removes_our_files_and_can_be_repeated(sshd: Sshd, guest: Tree) -> None:
    sshd.apply()
    for _ in range(2):
        sshd.revert()
        assert guest.attributes(GUEST_ETC) is None
    assert sshd.check() != []


def test_revert_leaves_what_others_put_there(sshd: Sshd, guest: Tree) -> None:
    sshd.apply()
    guest.write(GUEST_ETC / "theirs", b"x")
    sshd.revert()
    assert guest.names(GUEST_ETC) == ["theirs"]


def test_revert_without_a_prefix_does_nothing(tmp_path: Path) -> None:
    Sshd(Settings(), fake_world(tmp_path)).revert()
    assert list(tmp_path.iterdir()) == []
