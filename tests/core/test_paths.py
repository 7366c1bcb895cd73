"""Every file name once, each where its readers look."""

from pathlib import Path

from darlingbuilder.core import paths
from darlingbuilder.core.paths import Paths, public_half, straight
from darlingbuilder.core.settings import Settings

OURS = Paths(Settings(state="/srv/builder"))


def constants() -> dict[str, Path]:
    return {name: value for name, value in vars(paths).items() if isinstance(value, Path)}


def test_no_two_names_are_of_the_same_file() -> None:
    assert len(set(constants().values())) == len(constants())


def test_all_are_absolute_and_plain() -> None:
    assert all(path.is_absolute() and ".." not in path.parts for path in constants().values())


def test_in_the_guest_no_path_leads_through_its_links() -> None:
    # Darling's /etc, /tmp and some others are links to what lies in /private.
    guests = [paths.GUEST_ETC, paths.SSHD_CONFIG, paths.HOST_KEY, paths.AUTHORIZED_KEYS, paths.CA_BUNDLE]
    for path in (*guests, paths.NIX_CONF, paths.PASSWD):
        assert path.parts[1] == "private", path


def test_what_the_builder_keeps_is_below_its_state() -> None:
    kept = (OURS.marker, OURS.prefix, OURS.workdir, OURS.nix, OURS.host_key, OURS.known_hosts, OURS.boot_log)
    assert all(path.is_relative_to("/srv/builder") for path in kept)
    assert len(set(kept)) == len(kept)


def test_whatever_lies_directly_below_the_state_is_kept_from_others() -> None:
    named = {name: getattr(OURS, name) for name in vars(Paths) if isinstance(vars(Paths)[name], property)}
    below = {name: path for name, path in named.items() if isinstance(path, Path) and path.is_relative_to(OURS.state)}
    # Of the prefix it is the parent, which the user may name.
    own = {path for name, path in below.items() if name != "state" and path not in {OURS.prefix, OURS.workdir}}
    assert all(any(path.is_relative_to(kept) for kept in OURS.kept) for path in own)
    assert all(kept.parent == OURS.state for kept in OURS.kept)


def test_nothing_that_is_roots_lies_where_the_service_user_can_write() -> None:
    for path in (OURS.marker, OURS.host_key, OURS.known_hosts, OURS.boot_log, OURS.key):
        assert not path.is_relative_to(OURS.prefix.parent), path
        assert not path.is_relative_to(OURS.nix), path


def test_the_overlays_work_directory_is_beside_the_prefix() -> None:
    elsewhere = Paths(Settings(prefix="/srv/darling/p"))
    assert (elsewhere.prefix, elsewhere.workdir) == (Path("/srv/darling/p"), Path("/srv/darling/p.workdir"))


def test_the_public_half_of_a_key_is_beside_it() -> None:
    assert public_half(Path("/etc/nix/key.d/my.key")) == Path("/etc/nix/key.d/my.key.pub")


def test_a_straight_path_has_no_link_on_the_way_and_keeps_its_last_name(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to("disk")
    (tmp_path / "disk" / "planted").symlink_to("/etc")

    assert straight(tmp_path / "state" / "nix") == tmp_path.resolve() / "disk" / "nix"
    assert straight(tmp_path / "state" / "planted") == tmp_path.resolve() / "disk" / "planted"
    assert straight(Path("/")) == Path("/")
