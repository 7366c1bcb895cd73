"""Snapshots: what was kept comes back as it was, all of it or nothing, whatever moment an interruption comes at."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from darlingbuilder.adapters import archive, process
from darlingbuilder.adapters.archive import Way
from darlingbuilder.core.errors import BuilderError, ForeignFileError, GuestPathError, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import below
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.snapshots import Snapshots
from tests.fakes.deep import DEPTH, dig, few_descriptors
from tests.fakes.furnished import chosen, seen
from tests.fakes.history import Machine, machine
from tests.fakes.nar import registration
from tests.fakes.nix import add
from tests.names import HOST_ROOTS

pytestmark = pytest.mark.skipif(process.find("zstd") is None, reason="this machine has no zstd")
PATHS = Paths(Settings())
OLD = "/nix/store/11111111111111111111111111111111-old"
NEW = "/nix/store/22222222222222222222222222222222-new"
FILE = Path("/private/state")
NAME = "one"


@pytest.fixture
def made() -> Iterator[Machine]:
    """Give a machine with a builder that was used, and is down."""
    with machine() as one:
        yield use(one)


def use(one: Machine) -> Machine:
    one.init()
    one.world.systemd.stop("darling-builder.service")
    one.world.darling.files().write(FILE, b"old\n")
    add(one.world.host.real(PATHS.state), OLD, {"out": "old\n"})
    return one


def keep(one: Machine) -> None:
    snapshots(one).create(NAME)


def change(one: Machine) -> None:
    one.world.darling.files().write(FILE, b"new\n")
    add(one.world.host.real(PATHS.state), NEW, {"out": "new\n"})
    one.world.host.remove(PATHS.nix / "store" / Path(OLD).name)
    one.world.host.write(PATHS.nix / "other" / "file", b"new\n")


def snapshots(one: Machine) -> Snapshots:
    return Snapshots(Settings(), one.world)


def content(one: Machine) -> dict[str, tuple[int, str]]:
    """Give all of prefix and store."""
    real = one.world.host.real
    return {**seen(real(PATHS.prefix)), **{f"nix/{name}": what for name, what in seen(real(PATHS.nix)).items()}}


def state_names(one: Machine) -> list[str]:
    return [name for name in one.world.host.names(PATHS.state) if name != "snapshots"]


def test_what_was_kept_comes_back_and_nothing_else_is_there(made: Machine) -> None:
    before, names = content(made), state_names(made)
    snapshots(made).create(NAME)
    assert (content(made), state_names(made)) == (before, names)
    change(made)

    snapshots(made).restore(NAME)

    assert content(made) == before
    assert state_names(made) == names
    if os.geteuid() == 0:  # owners that are only noted cannot come back
        assert made.wrong() == ["service"]


def test_it_can_be_put_back_as_often_as_one_likes(made: Machine) -> None:
    before = content(made)
    snapshots(made).create(NAME)
    for _ in range(2):
        change(made)
        snapshots(made).restore(NAME)
        assert content(made) == before


def test_a_restoration_that_is_interrupted_ends_in_the_old_or_in_the_new() -> None:
    moment, going_on, ends = 0, True, set()
    while going_on:
        with machine() as one:
            use(one)
            new = content(one)
            snapshots(one).create(NAME)
            change(one)
            old = content(one)

            going_on = one.interrupted(lambda one: snapshots(one).restore(NAME), moment)
            build(chosen(), one.world).files[2].apply()

            assert content(one) in (old, new), moment
            ends.add("new" if content(one) == new else "old")
            assert [name for name in state_names(one) if name in {"staging", "exchange.json"}] == [], moment
        moment += 1
    assert ends == {"old", "new"}


def test_a_snapshot_whose_making_is_interrupted_is_none() -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            before = content(one)
            going_on = one.interrupted(keep, moment)
            assert content(one) == before
            if snapshots(one).manifests():
                snapshots(one).restore(NAME)
                assert content(one) == before
            else:
                snapshots(one).create(NAME)
            assert set(one.world.host.names(PATHS.snapshots)) == {NAME}, moment
        moment += 1


def test_they_are_listed_with_date_and_size(made: Machine) -> None:
    assert snapshots(made).manifests() == {}
    manifest = snapshots(made).create(NAME)

    assert snapshots(made).manifests() == {NAME: manifest}
    assert manifest.size > 0
    assert manifest.parts == ["prefix", "nix-store", "nix-var"]


def test_one_that_is_deleted_leaves_nothing(made: Machine) -> None:
    snapshots(made).create(NAME)
    snapshots(made).delete(NAME)

    assert made.world.host.attributes(PATHS.snapshots) is None
    for act in (snapshots(made).delete, snapshots(made).restore):
        with pytest.raises(BuilderError, match="there is no snapshot one"):
            act(NAME)


def test_a_name_is_used_once(made: Machine) -> None:
    snapshots(made).create(NAME)
    with pytest.raises(BuilderError, match="there is a snapshot one already"):
        snapshots(made).create(NAME)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "-x", "x" * 65, "a\n"])
def test_what_could_lead_elsewhere_is_no_name(made: Machine, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a snapshot"):
        snapshots(made).create(name)


@pytest.mark.parametrize("schema", [0, 2])
def test_one_of_another_schema_is_refused_and_nothing_changes(made: Machine, schema: int) -> None:
    manifest = snapshots(made).create(NAME)
    written = msgspec.structs.replace(manifest, schema=schema, tool_version="9.9")
    made.world.host.write(PATHS.snapshots / NAME / "manifest.json", msgspec.json.encode(written))
    change(made)
    before = content(made)

    with pytest.raises(ForeignFileError, match=rf"darlingbuilder 9.9 \(schema {schema}\)"):
        snapshots(made).restore(NAME)

    assert content(made) == before
    assert snapshots(made).manifests() == {NAME: None}


def test_one_that_belonged_to_another_user_is_refused(made: Machine) -> None:
    manifest = snapshots(made).create(NAME)
    other = msgspec.structs.replace(manifest, uid=manifest.uid + 1)
    made.world.host.write(PATHS.snapshots / NAME / "manifest.json", msgspec.json.encode(other))
    with pytest.raises(BuilderError, match="belongs to user"):
        snapshots(made).restore(NAME)


def test_a_damaged_archive_changes_nothing(made: Machine) -> None:
    snapshots(made).create(NAME)
    change(made)
    before = content(made)
    file = made.world.host.real(PATHS.snapshots) / NAME / "nix-store.tar.zst"
    file.write_bytes(file.read_bytes()[:100])

    with pytest.raises(BuilderError):
        snapshots(made).restore(NAME)

    build(chosen(), made.world).files[2].apply()
    assert content(made) == before


def test_of_a_shared_store_nothing_shared_is_left_where_it_is_shared_no_more(made: Machine) -> None:
    # given: a snapshot whose database names a path of the host's
    sharing = chosen(store="overlay")
    made.init(sharing)
    made.world.systemd.stop("darling-builder.service")
    lying_below = registration(NEW, below(made.world.host.real(PATHS.state), OLD)).encode()
    made.world.nix.load_into(made.world.host.real(PATHS.state), lying_below)
    assert Snapshots(sharing.settings, made.world).create(NAME).shared
    made.init()

    snapshots(made).restore(NAME)

    assert "store" in made.wrong()
    made.init()
    assert made.world.nix.has(made.world.host.real(PATHS.state), OLD)
    assert not made.world.nix.has(made.world.host.real(PATHS.state), NEW)
    assert [made.world.host.attributes(path) for path in (PATHS.overlay_work, HOST_ROOTS)] == [None, None]


def test_of_a_store_of_its_own_a_snapshot_leaves_no_trace_of_sharing(made: Machine) -> None:
    assert not snapshots(made).create(NAME).shared
    snapshots(made).restore(NAME)
    assert [made.world.host.attributes(path) for path in (PATHS.overlay_work, HOST_ROOTS)] == [None, None]


def test_a_purge_takes_the_snapshots_and_an_uninstall_does_not(made: Machine) -> None:
    snapshots(made).create(NAME)
    for purge, left in ((False, True), (True, False)):
        for step in reversed(build(chosen(), made.world, purge=purge).steps):
            step.revert()
        assert bool(made.world.host.attributes(PATHS.snapshots)) is left


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A directory where files can share blocks."""
    place, image = tmp_path / "btrfs", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(128 * 2**20)
    process.run("mkfs.btrfs", "--quiet", str(image))
    process.run("mount", "-o", "loop", str(image), str(place))
    yield place
    process.run("umount", str(place))


def test_all_that_a_file_can_have_comes_back_from_an_archive(tmp_path: Path) -> None:
    assert_all_comes_back(tmp_path, Way.TAR)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
def test_all_that_a_file_can_have_comes_back_where_blocks_are_shared(btrfs: Path) -> None:
    (btrfs / "kept").mkdir()
    assert archive.way_between(btrfs, btrfs / "kept") is Way.REFLINK
    assert_all_comes_back(btrfs, Way.REFLINK)


def test_what_is_deep_comes_back_and_what_is_too_deep_is_not_kept(tmp_path: Path) -> None:
    # given: what gnulib's test of getcwd makes is not too deep
    for name, depth in (("deep", 450), ("too deep", DEPTH)):
        (tmp_path / name).mkdir()
        dig(tmp_path / name, depth=depth)
    (tmp_path / "kept").mkdir()
    try:
        with few_descriptors():
            # when
            archive.keep(tmp_path / "deep", tmp_path / "kept/part", Way.TAR)
            archive.bring_back(tmp_path / "kept/part", tmp_path / "back", Way.TAR)
            # then
            assert archive.size(tmp_path / "back") == archive.size(tmp_path / "deep") > 0
            with pytest.raises(GuestPathError, match="too deep holds directories too deep") as caught:
                archive.keep(tmp_path / "too deep", tmp_path / "kept/other", Way.TAR)
            assert len(str(caught.value)) < 300
        assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["part.sockets", "part.tar.zst"]
    finally:
        Tree(tmp_path).remove(Path("/too deep"))


def assert_all_comes_back(place: Path, way: Way) -> None:
    (place / "kept").mkdir(exist_ok=True)
    source, target = place / "source", place / "target"
    before = replace_times(furnished(source))

    archive.keep(source, place / "kept/part", way)
    archive.bring_back(place / "kept/part", target, way)

    assert described(target) == before == described(source)


def furnished(top: Path) -> Path:
    top.mkdir(mode=0o750)
    (top / "file").write_text("x\n")
    (top / "file").chmod(0o4751)
    (top / "hard").hardlink_to(top / "file")
    (top / "link").symlink_to("/etc/passwd")
    (top / "ünnamed \udcff").write_text("y\n")
    (top / "dir").mkdir(mode=0o2700)
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.truncate(2**20)
    here = Path.cwd()
    os.chdir(top)  # a socket's name is short
    try:
        for name in ("sock", "sock\r and more\x0b\x85"):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(name)
    finally:
        os.chdir(here)
    (top / "sock").chmod(0o640)
    os.setxattr(top / "file", "user.test", b"value")
    if os.geteuid() == 0:
        os.setxattr(top / "dir", "trusted.overlay.opaque", b"y")
        os.mknod(top / "whiteout", stat.S_IFCHR, 0)
        os.chown(top / "file", 4711, 4712)
        (top / "file").chmod(0o4751)
    return top


def replace_times(top: Path) -> dict[str, tuple[object, ...]]:
    for path in (*top.rglob("*"), top):
        os.utime(path, (1, 1), follow_symlinks=False)
    return described(top)


def described(top: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in (top, *top.rglob("*")):
        one = path.lstat()
        names = [] if path.is_symlink() else [name for name in os.listxattr(path) if not name.startswith("security.")]
        attributes = {name: os.getxattr(path, name) for name in names}
        # A socket that is made anew changes its directory's time, too.
        times = 0 if stat.S_ISSOCK(one.st_mode) or path == top else one.st_mtime
        found[str(path.relative_to(top))] = (
            one.st_mode, one.st_uid, one.st_gid, one.st_nlink, one.st_rdev, attributes, times,
            path.readlink() if path.is_symlink() else None,
        )  # fmt: skip
    return found
