"""The step that provisions the guest's Nix."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.core import compatibility
from darlingbuilder.core.errors import BuilderError, ConfigError, ForeignFileError, NixError, PrerequisiteError
from darlingbuilder.core.managed import HEADER
from darlingbuilder.core.paths import CA_BUNDLE, NIX_CONF, Paths
from darlingbuilder.core.settings import NixSettings, Settings
from darlingbuilder.core.storepath import below
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.nix import Nix
from darlingbuilder.steps.profile import Generation, in_tree, profile_of
from tests.fakes.nix import add
from tests.fakes.release import CACERT, CACERT_FILES, NIX_FILES, Release
from tests.fakes.world import FakeWorld, fake_world

DEFAULT = compatibility.nix_path()
OLD = compatibility.nix_path("2.19.3")
HELLO = "/nix/store/00000000000000000000000000000000-hello-2.12"
HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
CACERT_ROOT = Path("/var/nix/gcroots/darlingbuilder/cacert")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    """Give a machine with a prefix, certificates, and a cache in reach that has the known versions."""
    (tmp_path / "machine").mkdir()
    world = fake_world(tmp_path / "machine").with_prefix()
    cache = tmp_path / "cache"
    for path in compatibility.nix_paths().values():
        add(cache, path, NIX_FILES)
    add(cache, CACERT, CACERT_FILES)
    add(cache, HELLO, {"bin/hello": ""})
    world.nix.cache = cache
    world.host.write(HOST_BUNDLE, b"the host's certificates\n")
    return world


@pytest.fixture
def offline(world: FakeWorld) -> FakeWorld:
    world.nix.cache = None
    return world


def step(world: FakeWorld, **nix: str) -> Nix:
    return Nix(Settings(nix=NixSettings(**nix)), world)


def with_tarball(world: FakeWorld, release: Release | None = None, *, name: str = "a") -> Nix:
    """Put a release tarball on the host, and give the step that is to install it."""
    directory = world.host.root / name
    directory.mkdir()
    file, sha256 = (release or Release()).pack(directory)
    return step(world, tarball=str(Path("/") / file.relative_to(world.host.root)), sha256=sha256)


def state(world: FakeWorld) -> Path:
    return world.host.root / "var/lib/darling-builder"


def current(step: Nix) -> Generation | None:
    return profile_of(step.settings, step.world).current()


def in_guest(world: FakeWorld, path: Path) -> str:
    return (world.darling.files().read(path) or b"").decode()


def snapshot(world: FakeWorld) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in world.host.root.rglob("*")}


def details(step: Nix) -> str:
    return "\n".join(f"{found.what}: {found.detail}" for found in step.check())


# The laws


@pytest.mark.parametrize("nix", [{}, {"version": "2.19.3"}, {"package": OLD}, {"package": OLD, "cacert": CACERT}])
def test_applied_is_converged_and_applied_again_is_unchanged(world: FakeWorld, nix: dict[str, str]) -> None:
    applied = step(world, **nix)
    applied.apply()
    assert applied.check() == []
    before = snapshot(world)

    applied.apply()

    assert snapshot(world) == before


def test_checking_changes_nothing(world: FakeWorld) -> None:
    applied = step(world)
    before = snapshot(world)
    assert applied.check()
    assert snapshot(world) == before
    applied.apply()
    before = snapshot(world)

    assert applied.check() == []

    assert snapshot(world) == before


@pytest.mark.parametrize("nix", [{}, {"tarball": "/nix.tar.xz", "sha256": "0" * 64}])
def test_an_empty_machine_is_absent_not_an_error(tmp_path: Path, nix: dict[str, str]) -> None:
    world = fake_world(tmp_path)
    world.nix.installed = False

    drift = step(world, **nix).check()

    assert {found.detail for found in drift} == {"absent"}
    assert "the host's Nix" in {found.what for found in drift}


def test_reverted_is_gone_and_reverted_again_is_fine(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()

    applied.revert()
    applied.revert()

    assert applied.check()
    assert not (state(world) / "nix").exists()
    assert in_guest(world, NIX_CONF) == in_guest(world, CA_BUNDLE) == ""


def test_reverting_an_empty_machine_is_fine(tmp_path: Path) -> None:
    step(fake_world(tmp_path)).revert()


def test_a_nix_conf_that_somebody_has_written_in_the_guest_is_not_removed_but_gives_way(world: FakeWorld) -> None:
    applied = step(world)
    world.darling.files().write(NIX_CONF, b"max-jobs = 99\n")
    applied.revert()
    assert in_guest(world, NIX_CONF) == "max-jobs = 99\n"

    applied.apply()

    assert applied.check() == []
    assert "max-jobs = 99" not in in_guest(world, NIX_CONF)


# Where Nix comes from


def test_the_default_is_a_known_version(world: FakeWorld) -> None:
    applied = step(world)

    applied.apply()

    assert current(applied) == Generation(1, DEFAULT)
    assert (below(state(world), DEFAULT) / "bin/nix-daemon").exists()


def test_the_store_belongs_to_the_service_user(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()
    account = world.accounts.find(applied.settings.user)
    nix = Paths(applied.settings).nix

    owners = {
        found.owner
        for path in (nix, nix / "var/nix/profiles/default", nix / "var/nix/profiles/default-1-link")
        if (found := world.host.attributes(path))
    }

    assert account
    assert owners == {account.owner}


def test_the_host_cannot_fetch(offline: FakeWorld) -> None:
    with pytest.raises(NixError, match=DEFAULT) as caught:
        step(offline).apply()

    assert "nix.tarball" in caught.value.hint


def test_a_package_that_is_no_nix_is_refused(world: FakeWorld) -> None:
    with pytest.raises(ConfigError, match=r"hello-2\.12 is no Nix") as caught:
        step(world, package=HELLO).apply()

    assert "nix.package" in caught.value.hint
    assert current(step(world)) is None


def test_a_tarball_is_installed_offline(offline: FakeWorld) -> None:
    applied = with_tarball(offline)
    assert "the guest's Nix" in details(applied) or "absent" in details(applied)

    applied.apply()

    assert applied.check() == []
    assert current(applied) == Generation(1, DEFAULT)
    assert in_guest(offline, CA_BUNDLE) == f"{HEADER}\nthe release's certificates\n"
    assert sorted(path.name for path in state(offline).iterdir() if path.name.startswith(".")) == []


def test_a_tarball_that_was_installed_may_go(offline: FakeWorld) -> None:
    applied = with_tarball(offline)
    applied.apply()

    shutil.rmtree(offline.host.root / "a")

    assert applied.check() == []


def test_a_tarball_with_another_hash_is_refused_with_both(offline: FakeWorld) -> None:
    right = with_tarball(offline)
    wrong = step(offline, tarball=right.settings.nix.tarball, sha256="0" * 64)

    with pytest.raises(ConfigError) as caught:
        wrong.apply()

    assert right.settings.nix.sha256 in str(caught.value)
    assert "0" * 64 in str(caught.value)


def test_a_tarball_whose_content_is_not_as_registered_is_refused(offline: FakeWorld) -> None:
    applied = with_tarball(offline, Release(tampered=True))

    with pytest.raises(NixError, match="hash has changed"):
        applied.apply()

    assert current(applied) is None


def test_a_tarball_of_something_else_than_nix_is_refused(offline: FakeWorld) -> None:
    applied = with_tarball(offline, Release(nix_files={"bin/hello": ""}))

    with pytest.raises(ConfigError, match="is no Nix for a builder"):
        applied.apply()


def test_another_tarball_is_drift_and_an_upgrade(offline: FakeWorld) -> None:
    with_tarball(offline).apply()
    other = with_tarball(offline, Release(nix=OLD, install=f'nix="{OLD}"\ncacert="{CACERT}"\n'), name="b")
    assert "should be that of /b/" in details(other)

    other.apply()

    assert other.check() == []
    assert current(other) == Generation(2, OLD)
    assert profile_of(other.settings, offline).previous() == Generation(1, DEFAULT)


def test_what_an_interrupted_unpacking_left_is_swept(offline: FakeWorld) -> None:
    left = state(offline) / ".unpack-abc"
    left.mkdir(parents=True)

    with_tarball(offline).apply()

    assert not left.exists()


# Upgrades


def test_an_upgrade_keeps_the_nix_before_and_is_converged(world: FakeWorld) -> None:
    step(world, version="2.19.3").apply()
    upgraded = step(world)
    assert f"is {OLD}, should be {DEFAULT}" in details(upgraded)

    upgraded.apply()

    assert upgraded.check() == []
    assert profile_of(upgraded.settings, world).previous() == Generation(1, OLD)
    assert (below(state(world), OLD) / "bin/nix-store").exists()


def test_a_nix_that_did_not_answer_is_drift_that_says_so(world: FakeWorld) -> None:
    step(world, version="2.19.3").apply()
    upgraded = step(world)
    upgraded.apply()
    profile_of(upgraded.settings, world).fall_back()

    assert f"is {OLD}, should be {DEFAULT}, which failed its trial" in details(upgraded)

    upgraded.apply()
    assert upgraded.check() == []


def test_a_settled_upgrade_is_converged(world: FakeWorld) -> None:
    step(world, version="2.19.3").apply()
    upgraded = step(world)
    upgraded.apply()

    profile_of(upgraded.settings, world).settle()

    assert upgraded.check() == []


# Certificates


def test_without_a_cacert_the_host_s_certificates_are_copied(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()
    assert in_guest(world, CA_BUNDLE) == f"{HEADER}\nthe host's certificates\n"

    world.host.write(HOST_BUNDLE, b"newer certificates\n")

    assert str(CA_BUNDLE) in details(applied)
    applied.apply()
    assert in_guest(world, CA_BUNDLE).endswith("newer certificates\n")


@pytest.mark.parametrize(
    "path", ["/etc/ssl/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
)
def test_other_systems_keep_their_certificates_elsewhere(world: FakeWorld, path: str) -> None:
    world.host.remove(HOST_BUNDLE)
    world.host.write(Path(path), b"elsewhere\n")

    step(world).apply()

    assert in_guest(world, CA_BUNDLE).endswith("elsewhere\n")


def test_no_certificates_anywhere_is_an_error_that_names_the_setting(world: FakeWorld) -> None:
    world.host.remove(HOST_BUNDLE)

    with pytest.raises(PrerequisiteError, match="no CA certificates") as caught:
        step(world).apply()

    assert "nix.cacert" in caught.value.hint


def test_a_cacert_of_the_settings_is_fetched_rooted_and_copied(world: FakeWorld) -> None:
    applied = step(world, cacert=CACERT)

    applied.apply()

    assert in_guest(world, CA_BUNDLE).endswith("the release's certificates\n")
    assert profile_of(applied.settings, world).tree.link(CACERT_ROOT) == CACERT


def test_a_cacert_that_came_with_nix_is_used(world: FakeWorld, tmp_path: Path) -> None:
    add(tmp_path / "cache", OLD, NIX_FILES, references=(CACERT,))

    step(world, package=OLD).apply()

    assert in_guest(world, CA_BUNDLE).endswith("the release's certificates\n")


def test_a_cacert_that_is_none_is_refused(world: FakeWorld) -> None:
    with pytest.raises(ConfigError, match=r"nix\.cacert: .* holds no etc/ssl/certs/ca-bundle\.crt"):
        step(world, cacert=HELLO).apply()


def test_another_cacert_is_drift(world: FakeWorld) -> None:
    step(world).apply()

    assert "the guest's cacert: is absent" in details(step(world, cacert=CACERT))


# What breaks


PROFILES = Path("/var/nix/profiles")
DATABASE_IN_TREE = Path("/") / DATABASE.relative_to("nix")
BREAKAGES: dict[str, Callable[[Tree, Tree], None]] = {
    "profile": lambda nix, _: nix.remove(PROFILES / "default"),
    "generation": lambda nix, _: nix.remove(PROFILES / "default-1-link"),
    "profile leads elsewhere": lambda nix, _: nix.write_link(PROFILES / "default", "/Volumes/SystemRoot"),
    "store path": lambda nix, _: nix.remove(in_tree(DEFAULT)),
    "a tool": lambda nix, _: nix.remove(in_tree(DEFAULT) / "bin/nix-daemon"),
    "store": lambda nix, _: nix.remove(Path("/store")),
    "database": lambda nix, _: nix.remove(DATABASE_IN_TREE),
    "database is empty": lambda nix, _: nix.write(DATABASE_IN_TREE, b""),
    "database is garbage": lambda nix, _: nix.write(DATABASE_IN_TREE, b"x" * 5000),
    "what Nix keeps": lambda nix, _: nix.remove(Path("/var")),
    "cacert": lambda nix, _: nix.remove(in_tree(CACERT)),
    "cacert's root": lambda nix, _: nix.remove(CACERT_ROOT),
    "nix.conf": lambda _, files: files.remove(NIX_CONF),
    "nix.conf's content": lambda _, files: files.write(NIX_CONF, f"{HEADER}\nsandbox = true\n".encode()),
    "nix.conf's mode": lambda _, files: files.write(NIX_CONF, files.read(NIX_CONF) or b"", mode=0o600),
    "certificates": lambda _, files: files.write(CA_BUNDLE, b""),
}


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_what_breaks_is_drift_and_is_healed(world: FakeWorld, breakage: Callable[[Tree, Tree], None]) -> None:
    applied = step(world, cacert=CACERT)
    applied.apply()
    breakage(profile_of(applied.settings, world).tree, world.darling.files())
    assert applied.check()

    applied.apply()

    assert applied.check() == []


def test_a_store_of_another_user_is_made_anew(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()
    (state(world) / "nix/store/garbage").write_text("")
    other = world.accounts.add("darlingbuilder", uid=4712)
    assert "does not belong to darlingbuilder" in details(applied)

    applied.apply()

    assert applied.check() == []
    assert not (state(world) / "nix/store/garbage").exists()
    found = world.host.attributes(Paths(applied.settings).nix)
    assert found
    assert found.owner == other.owner


def test_a_link_in_the_place_of_the_store_is_refused(world: FakeWorld, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (state(world) / "nix").symlink_to(elsewhere)

    with pytest.raises(ForeignFileError, match="no directory of its own"):
        step(world).apply()

    assert list(elsewhere.iterdir()) == []


def test_a_link_of_the_guest_s_making_leads_nothing_out(world: FakeWorld, tmp_path: Path) -> None:
    applied = step(world)
    applied.apply()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    profiles = state(world) / "nix/var/nix/profiles"
    shutil.rmtree(profiles)
    profiles.symlink_to(elsewhere)

    with pytest.raises(BuilderError, match="no directory of its own"):
        applied.apply()

    assert list(elsewhere.iterdir()) == []


def test_without_a_service_user_it_is_drift_and_apply_says_what_to_run(tmp_path: Path) -> None:
    applied = step(fake_world(tmp_path))
    assert applied.check()

    with pytest.raises(PrerequisiteError, match="no user darlingbuilder"):
        applied.apply()


def test_a_host_that_lost_its_nix_is_drift_and_apply_says_what_to_install(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()
    world.nix.installed = False

    assert "the host's Nix: absent" in details(applied)
    with pytest.raises(PrerequisiteError, match="the host has no Nix"):
        applied.apply()


def test_the_host_s_caches_are_followed(world: FakeWorld) -> None:
    applied = step(world)
    applied.apply()
    world.nix.configuration = {"substituters": ["https://cache.example.org"], "trusted-public-keys": []}
    assert "+substituters = https://cache.example.org" in applied.check()[0].diff

    applied.apply()

    assert "substituters = https://cache.example.org\n" in in_guest(world, NIX_CONF)


@pytest.mark.parametrize("name", ["", "store"])
def test_the_host_s_own_store_by_another_name_is_never_emptied(tmp_path: Path, name: str) -> None:
    # given: a link stands for a bind mount, which an ordinary user cannot make
    world = fake_world(tmp_path).with_user()
    world.host.write(Path("/nix/store/precious"), b"precious\n")
    ours = Paths(Settings()).nix / name
    world.host.make_directory(ours.parent)
    world.host.real(ours).symlink_to(tmp_path / "nix" / name)
    step = Nix(Settings(), world)
    # then
    for act in (step.apply, step.revert):
        with pytest.raises(ForeignFileError, match="is the host's own"):
            act()
    assert world.host.read(Path("/nix/store/precious")) == b"precious\n"
