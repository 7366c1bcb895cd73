"""The keys: made once, never replaced, with their public halves and the pinned host key."""

import os
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import keypair, unfinished
from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError, KeyFileError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths, next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.keys import Keys
from tests.fakes.world import FakeWorld, fake_world
from tests.privileges import bound_by_permissions

PATHS = Paths(Settings())
PRIVATE = (PATHS.key, PATHS.host_key)
PUBLIC = tuple(map(public_half, PRIVATE))
SECRET = b"secret that nobody can make again\n"
needs_ssh_keygen = pytest.mark.skipif(process.find("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


@pytest.fixture
def keys(world: FakeWorld) -> Keys:
    return Keys(Settings(), world)


@pytest.fixture(params=PRIVATE, ids=["client key", "host key"])
def private(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def everything(world: FakeWorld) -> dict[Path, tuple[Attributes | None, bytes | None]]:
    paths = (Path("/") / path.relative_to(world.host.root) for path in sorted(world.host.root.rglob("*")))
    return {path: (world.host.attributes(path), world.host.read(path)) for path in paths}


def test_on_an_empty_machine_all_is_absent(keys: Keys) -> None:
    assert [drift.what for drift in keys.check()] == [*map(str, PRIVATE), str(PATHS.known_hosts)]


def test_both_keys_are_made_for_root_alone(keys: Keys, world: FakeWorld) -> None:
    # when
    keys.apply()
    # then
    assert keys.check() == []
    for path, mode in [*((path, 0o600) for path in PRIVATE), *((path, 0o644) for path in PUBLIC)]:
        found = world.host.attributes(path)
        assert found is not None
        assert (found.mode, found.owner) == (mode, ROOT)
    directory = world.host.attributes(PATHS.host_key.parent)
    assert directory is not None
    assert (directory.mode, directory.owner) == (0o700, ROOT)


def test_the_public_half_belongs_to_the_private_and_names_the_machine(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    for private, public in zip(PRIVATE, PUBLIC, strict=True):
        line = (world.host.read(public) or b"").decode()
        assert line == keypair.public_of(world.host.read(private) or b"").line
        assert line.endswith(f" darling-builder@{os.uname().nodename}\n")


def test_known_hosts_pins_the_host_key_under_the_alias(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    lines = (world.host.read(PATHS.known_hosts) or b"").decode().splitlines()
    host_key = keypair.needed(world.host, PATHS.host_key)
    assert [line for line in lines if not line.startswith("#")] == [f"darling-builder {host_key.text}"]


@needs_ssh_keygen
def test_openssh_finds_the_host_key_in_known_hosts(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    known_hosts = world.host.root / PATHS.known_hosts.relative_to("/")
    assert "darling-builder" in process.run("ssh-keygen", "-F", "darling-builder", "-f", known_hosts).stdout


def test_applying_again_changes_nothing(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    before = everything(world)
    keys.apply()
    assert everything(world) == before


@needs_ssh_keygen
def test_a_key_that_ssh_keygen_made_is_used_as_it_is(
    keys: Keys, world: FakeWorld, private: Path, tmp_path: Path
) -> None:
    # given
    process.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the seed's", "-f", tmp_path / "made")
    content, line = (tmp_path / "made").read_bytes(), (tmp_path / "made.pub").read_bytes()
    world.host.write(private, content, mode=0o600)
    world.host.write(public_half(private), line)
    # when
    keys.apply()
    # then
    assert keys.check() == []
    assert world.host.read(private) == content
    assert world.host.read(public_half(private)) == line


def test_a_public_half_that_is_gone_is_derived_anew(keys: Keys, world: FakeWorld, private: Path) -> None:
    # given
    keys.apply()
    before = everything(world)
    world.host.remove(public_half(private))
    # when
    assert keys.check() == [Drift(str(public_half(private)), "absent")]
    keys.apply()
    # then
    assert keys.check() == []
    assert {path: content for path, (_, content) in everything(world).items()} == {
        path: content for path, (_, content) in before.items()
    }


@pytest.mark.parametrize("wrong", [b"", b"ssh-ed25519 AAAA other\n", b"\xff", b"ssh-rsa AAAA x\n"])
def test_a_public_half_of_another_key_is_derived_anew(
    keys: Keys, world: FakeWorld, private: Path, wrong: bytes
) -> None:
    keys.apply()
    world.host.write(public_half(private), wrong)
    assert keys.check() == [Drift(str(public_half(private)), "is not the public half of the private key")]
    keys.apply()
    assert keys.check() == []
    assert world.host.read(public_half(private)) == keypair.needed(world.host, private).line.encode()


def test_the_comment_of_a_public_half_is_its_owners(keys: Keys, world: FakeWorld, private: Path) -> None:
    # given: somebody has written a comment of his own, and lost the newline
    keys.apply()
    text = keypair.needed(world.host, private).text
    world.host.write(public_half(private), f"{text} my own comment".encode())
    # when
    assert keys.check() != []
    keys.apply()
    # then
    assert keys.check() == []
    assert world.host.read(public_half(private)) == f"{text} my own comment\n".encode()


@pytest.mark.parametrize(("half", "wrong", "right"), [(PRIVATE, 0o644, "0600"), (PUBLIC, 0o600, "0644")])
def test_a_wrong_mode_is_corrected_and_the_content_not_rewritten(
    keys: Keys, world: FakeWorld, half: tuple[Path, ...], wrong: int, right: str
) -> None:
    for path in half:
        # given
        keys.apply()
        before = everything(world)
        (world.host.root / path.relative_to("/")).chmod(wrong)
        # when
        assert keys.check() == [Drift(str(path), f"mode is {wrong:04o}, should be {right}")]
        keys.apply()
        # then
        assert everything(world) == before


def test_a_key_of_another_owner_becomes_roots(keys: Keys, world: FakeWorld, private: Path) -> None:
    keys.apply()
    before = everything(world)
    world.host.set_attributes(private, mode=0o600, owner=Owner(4712, 4712))
    assert keys.check() == [Drift(str(private), "belongs to 4712:4712, should be root's")]
    keys.apply()
    assert everything(world) == before


def test_a_key_with_a_stricter_mode_is_left_so(keys: Keys, world: FakeWorld, private: Path) -> None:
    keys.apply()
    world.host.set_attributes(private, mode=0o400, owner=ROOT)
    assert keys.check() == []


def test_a_directory_of_keys_that_others_may_enter_is_closed(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    (world.host.root / PATHS.host_key.parent.relative_to("/")).chmod(0o755)
    assert [drift.what for drift in keys.check()] == [str(PATHS.host_key.parent)]
    keys.apply()
    assert keys.check() == []


def test_a_key_that_cannot_be_used_is_an_error_and_nothing_is_changed(
    keys: Keys, world: FakeWorld, private: Path
) -> None:
    # given
    world.host.write(private, SECRET, mode=0o600)
    before = everything(world)
    # when
    assert Drift(str(private), "is not a private key") in keys.check()
    with pytest.raises(KeyFileError, match="is not a private key") as caught:
        keys.apply()
    # then
    assert "never replaced" in caught.value.hint
    assert everything(world) == before


@pytest.mark.parametrize("plant", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_in_a_keys_place_is_an_error(
    keys: Keys, world: FakeWorld, private: Path, plant: object
) -> None:
    world.host.make_directory(private.parent)
    assert callable(plant)
    plant(world.host.root / private.relative_to("/"))
    before = everything(world)
    assert str(private) in {drift.what for drift in keys.check()}
    with pytest.raises(KeyFileError):
        keys.apply()
    assert everything(world) == before


def test_a_directory_in_the_place_of_the_public_half_is_refused(keys: Keys, world: FakeWorld, private: Path) -> None:
    world.host.make_directory(public_half(private))
    assert keys.check() != []
    with pytest.raises(ForeignFileError, match="is a directory"):
        keys.apply()


def test_a_link_to_a_key_is_used_and_neither_followed_by_a_change_nor_removed(
    world: FakeWorld, tmp_path: Path
) -> None:
    # given: a secret that NixOS keeps, say
    keys = Keys(Settings(), world, purge=True)
    content = keypair.generate("darling-builder@elsewhere")
    world.host.write(Path("/run/secrets/key"), content, mode=0o440)
    world.host.write_link(PATHS.key, str(tmp_path / "run/secrets/key"))
    # when
    keys.apply()
    assert keys.check() == []
    keys.revert()
    # then
    secret = world.host.attributes(Path("/run/secrets/key"))
    assert secret is not None
    assert secret.mode == 0o440
    assert world.host.link(PATHS.key) is not None


@pytest.mark.parametrize("purge", [False, True])
@pytest.mark.parametrize("comment", ["vault", ""])
def test_a_next_key_that_was_brought_in_goes_with_the_builder(
    keys: Keys, world: FakeWorld, private: Path, comment: str, *, purge: bool
) -> None:
    keys.apply()
    world.host.write(next_of(private), keypair.generate(comment), mode=0o600)

    Keys(Settings(), world, purge=purge).revert()

    assert world.host.attributes(next_of(private)) is None
    assert (world.host.attributes(PATHS.host_key.parent) is None) is purge


def test_a_directory_in_the_place_of_a_next_key_is_nobodys_key(keys: Keys, world: FakeWorld, private: Path) -> None:
    keys.apply()
    world.host.write(next_of(private) / "precious", b"thing\n")

    Keys(Settings(), world, purge=True).revert()

    assert world.host.read(next_of(private) / "precious") == b"thing\n"


@pytest.mark.parametrize("place", ["/root/keys/builder", "/tmp/builder"])  # noqa: S108 - a name
def test_a_link_to_where_serve_does_not_see_is_an_error_with_the_remedy(
    keys: Keys, world: FakeWorld, private: Path, place: str
) -> None:
    # given
    keys.apply()
    world.host.write(Path(place), keypair.generate("mine"), mode=0o600)
    world.host.remove(private)
    world.host.write_link(private, str(world.host.real(Path(place))))
    before = everything(world)
    # when
    assert Drift(str(private), f"leads to {place}, which the builder's service does not see") in keys.check()
    with pytest.raises(KeyFileError, match="does not see") as caught:
        keys.apply()
    # then
    assert f"cp --preserve=mode --remove-destination {place} {private}" in caught.value.hint
    assert everything(world) == before


def test_a_link_to_where_serve_does_not_see_is_let_go_while_it_is_replaced(
    keys: Keys, world: FakeWorld, private: Path
) -> None:
    keys.apply()
    world.host.write(Path("/root/builder"), keypair.generate("mine"), mode=0o600)
    world.host.remove(private)
    world.host.write_link(private, str(world.host.real(Path("/root/builder"))))
    world.host.write(next_of(private), keypair.generate("vault"), mode=0o600)

    keys.apply()

    assert keys.check() == []


def test_an_edited_known_hosts_is_put_right(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    content = world.host.read(PATHS.known_hosts)
    world.host.write(PATHS.known_hosts, (content or b"").replace(b"darling-builder ", b"other "))
    assert [drift.detail for drift in keys.check()] == ["differs"]
    keys.apply()
    assert world.host.read(PATHS.known_hosts) == content


def test_revert_keeps_the_keys_and_can_be_repeated(keys: Keys, world: FakeWorld) -> None:
    keys.apply()
    before = {path: world.host.read(path) for path in PRIVATE + PUBLIC}
    for _ in range(2):
        keys.revert()
        assert world.host.attributes(PATHS.known_hosts) is None
        assert {path: world.host.read(path) for path in PRIVATE + PUBLIC} == before
    assert [drift.what for drift in keys.check()] == [str(PATHS.known_hosts)]
    keys.apply()
    assert {path: world.host.read(path) for path in PRIVATE + PUBLIC} == before


def test_a_purge_removes_the_keys_and_their_directory(world: FakeWorld) -> None:
    keys = Keys(Settings(), world, purge=True)
    keys.apply()
    for _ in range(2):
        keys.revert()
        assert all(world.host.attributes(path) is None for path in PRIVATE + PUBLIC)
        assert world.host.attributes(PATHS.host_key.parent) is None


@pytest.mark.parametrize("purge", [False, True])
def test_copies_that_a_killed_writer_has_left_go_with_the_builder(
    keys: Keys, world: FakeWorld, private: Path, *, purge: bool
) -> None:
    keys.apply()
    copies = [path.with_name(unfinished.name_for(path.name)) for path in (private, next_of(private))]
    for copy in copies:
        world.host.write(copy, SECRET, mode=0o600)

    Keys(Settings(), world, purge=purge).revert()

    assert [copy for copy in copies if world.host.attributes(copy)] == []


@pytest.mark.parametrize("half", PRIVATE + PUBLIC)
def test_a_purge_removes_the_half_that_is_left_of_a_key(world: FakeWorld, half: Path) -> None:
    keys = Keys(Settings(), world, purge=True)
    keys.apply()
    world.host.remove(half)
    keys.revert()
    assert all(world.host.attributes(path) is None for path in PRIVATE + PUBLIC)


@pytest.mark.parametrize("content", [keypair.generate("somebody@elsewhere"), SECRET])
def test_a_purge_leaves_a_key_that_is_not_ours(world: FakeWorld, private: Path, content: bytes) -> None:
    world.host.write(private, content, mode=0o600)
    Keys(Settings(), world, purge=True).revert()
    assert world.host.read(private) == content


def test_a_key_that_may_not_be_read_is_drift(keys: Keys, world: FakeWorld, private: Path) -> None:
    keys.apply()
    (world.host.root / private.relative_to("/")).chmod(0o000)
    with bound_by_permissions():
        drift = keys.check()
    assert any("cannot be read: Permission denied" in found.detail for found in drift)
