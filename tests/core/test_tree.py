"""Files are written whole, with their final attributes, and no link of the guest's is ever followed."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from darlingbuilder.core import unfinished
from darlingbuilder.core.attributes import Attributes, Kind
from darlingbuilder.core.errors import ForeignFileError, GuestPathError
from darlingbuilder.core.links import Links
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import LONGEST, Tree

ME = Owner(os.geteuid(), os.getegid())
FILE = Path("/etc/ours")


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    (tmp_path / "host").mkdir()
    return Tree(tmp_path / "host")


@pytest.fixture
def guest(tmp_path: Path) -> Tree:
    (tmp_path / "prefix").mkdir()
    return Tree(tmp_path / "prefix", Links.REFUSED)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host with a precious file."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "ours").write_text("precious\n")
    return tmp_path / "outside"


def test_a_file_is_written_with_its_mode_whatever_the_umask(host: Tree) -> None:
    # given
    old = os.umask(0o077)
    try:
        # when
        host.write(FILE, b"x", mode=0o644, owner=ME)
    finally:
        os.umask(old)
    # then
    found = host.attributes(FILE)
    assert found is not None
    assert (found.kind, found.mode, found.owner) == (Kind.FILE, 0o644, ME)
    assert host.attributes(FILE.parent) is not None


def test_a_secret_is_never_readable_by_others_not_even_while_it_is_written(host: Tree) -> None:
    # given: somebody may read what is there already, and keeps it open
    host.write(FILE, b"public", mode=0o644)
    with (host.root / "etc/ours").open("rb") as reader:
        # when
        host.write(FILE, b"secret", mode=0o600)
        # then: the secret is another file, which was 0600 when it got its name
        assert reader.read() == b"public"
    assert host.attributes(FILE) == _with_mode(host, 0o600)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(host: Tree) -> None:
    # given
    host.write(FILE, b"old")
    # when
    with pytest.raises(TypeError):
        host.write(FILE, "not bytes")  # type: ignore[arg-type]  # the failure is the point
    # then
    assert host.read(FILE) == b"old"
    assert host.names(FILE.parent) == ["ours"]


def test_create_never_replaces_anything(host: Tree) -> None:
    # given
    host.create(FILE, b"first", mode=0o600, owner=ME)
    # when
    with pytest.raises(FileExistsError):
        host.create(FILE, b"second", mode=0o644, owner=ME)
    # then
    assert host.read(FILE) == b"first"
    assert host.attributes(FILE) == _with_mode(host, 0o600)
    assert host.names(FILE.parent) == ["ours"]


def test_create_does_not_follow_a_dangling_link(host: Tree) -> None:
    host.make_directory(FILE.parent)
    (host.root / "etc/ours").symlink_to(host.root / "elsewhere")
    with pytest.raises(FileExistsError):
        host.create(FILE, b"secret", mode=0o600, owner=ME)
    assert not (host.root / "elsewhere").exists()


def test_correcting_the_attributes_leaves_content_and_time(host: Tree) -> None:
    # given
    host.write(FILE, b"x", mode=0o644)
    before = host.attributes(FILE)
    # when
    host.set_attributes(FILE, mode=0o600, owner=ME)
    # then
    after = host.attributes(FILE)
    assert before is not None
    assert after is not None
    assert (after.mode, after.mtime_ns) == (0o600, before.mtime_ns)


def test_correcting_the_attributes_of_a_link_is_refused(host: Tree) -> None:
    host.write(Path("/etc/other"), b"x", mode=0o644)
    (host.root / "etc/ours").symlink_to("other")
    with pytest.raises(OSError, match="ours"):
        host.set_attributes(FILE, mode=0o600, owner=ME)
    assert (host.root / "etc/other").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("plant", "word"),
    [
        (lambda path: path.symlink_to("other"), "a symbolic link"),
        (lambda path: path.mkdir(), "a directory"),
        (os.mkfifo, "a special file"),
    ],
)
def test_what_is_not_a_file_is_not_written_over(host: Tree, plant: Callable[[Path], None], word: str) -> None:
    host.make_directory(FILE.parent)
    plant(host.root / "etc/ours")
    with pytest.raises(ForeignFileError, match=word):
        host.write(FILE, b"x")
    assert host.names(FILE.parent) == ["ours"]


@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("other"), lambda path: path.mkdir(), os.mkfifo])
def test_in_the_guest_whatever_is_in_a_file_s_place_makes_way(guest: Tree, plant: Callable[[Path], None]) -> None:
    guest.make_directory(FILE.parent)
    plant(guest.root / "etc/ours")
    guest.write(FILE, b"x")
    assert guest.read(FILE) == b"x"
    assert guest.names(FILE.parent) == ["ours"]


def test_on_the_host_a_directory_may_be_a_link(host: Tree) -> None:
    host.make_directory(Path("/usr/lib"))
    (host.root / "lib").symlink_to("usr/lib")
    host.write(Path("/lib/ours"), b"x")
    assert host.read(Path("/usr/lib/ours")) == b"x"


def test_what_is_absent_is_no_error(host: Tree) -> None:
    for path in (FILE, Path("/no/such/thing")):
        assert host.attributes(path) is None
        assert host.read(path) is None
        assert host.link(path) is None
        assert host.names(path) == []
        host.remove(path)
        host.remove_if_empty(path)


def test_a_tree_that_is_absent_is_empty(tmp_path: Path) -> None:
    absent = Tree(tmp_path / "absent", Links.REFUSED)
    assert absent.attributes(FILE) is None
    assert absent.read(FILE) is None
    absent.remove(FILE)


def test_a_directory_is_removed_with_all_that_is_in_it(host: Tree, outside: Path) -> None:
    host.write(Path("/etc/a/b/ours"), b"x")
    (host.root / "etc/a/link").symlink_to(outside)
    host.remove(Path("/etc/a"))
    assert host.attributes(Path("/etc/a")) is None
    assert (outside / "ours").read_text() == "precious\n"


def test_what_a_killed_writer_has_left_is_swept_and_nothing_else(host: Tree) -> None:
    # given: a writer that ends in the middle, as one that is killed does
    pid = os.fork()
    if not pid:
        with unfinished.written(os.open(host.root, os.O_RDONLY), "known", b"half", 0o644, None):
            os._exit(0)
    os.waitpid(pid, 0)
    others = [".known.0123.darlingbuilder", ".known", "known.01234567.darlingbuilder", ".own.01234567.darlingbuilder"]
    for name in others:
        host.write(Path("/", name), b"mine")
    assert len(host.names(Path("/"))) == 1 + len(others)
    # when
    host.sweep(Path("/known"))
    # then
    assert host.names(Path("/")) == sorted(others)


def test_a_directory_that_is_not_empty_stays(host: Tree) -> None:
    host.write(FILE, b"x")
    host.remove_if_empty(FILE.parent)
    assert host.read(FILE) == b"x"


def test_a_link_is_made_and_replaced(host: Tree) -> None:
    host.write_link(FILE, "one")
    host.write_link(FILE, "two", owner=ME)
    assert host.link(FILE) == "two"
    assert host.names(FILE.parent) == ["ours"]


ACTIONS: list[Callable[[Tree, Path], object]] = [
    lambda tree, path: tree.attributes(path),
    lambda tree, path: tree.read(path),
    lambda tree, path: tree.head(path, 8),
    lambda tree, path: tree.link(path),
    lambda tree, path: tree.names(path),
    lambda tree, path: tree.write(path, b"overwritten"),
    lambda tree, path: tree.create(path, b"overwritten", mode=0o644, owner=ME),
    lambda tree, path: tree.set_attributes(path, mode=0o777, owner=ME),
    lambda tree, path: tree.write_link(path, "elsewhere"),
    lambda tree, path: tree.make_directory(path, mode=0o777, owner=ME),
    lambda tree, path: tree.remove(path),
]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("path", ["/etc/ours", "/etc/deeper/ours", "/etc"])
def test_in_the_guest_a_link_among_the_parents_is_never_followed(
    guest: Tree, outside: Path, action: Callable[[Tree, Path], object], path: str
) -> None:
    # given: the guest's user has put a link in the place of a directory that the path goes through
    (outside / "deeper").mkdir()
    parent = Path("/private/etc") if path != "/etc" else Path("/private")
    guest.make_directory(parent.parent)
    (guest.root / parent.relative_to("/")).symlink_to(outside)
    before = _everything(outside)
    # when
    with pytest.raises(GuestPathError, match="no directory of its own"):
        action(guest, Path(f"/private{path}"))
    # then
    assert _everything(outside) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_in_the_guest_not_even_the_prefix_may_be_a_link(
    tmp_path: Path, outside: Path, action: Callable[[Tree, Path], object]
) -> None:
    # given: the prefix' parent belongs to the guest's user, who has put a link in its place
    (tmp_path / "link").symlink_to(outside)
    before = _everything(outside)
    # when: a look finds nothing, a change fails
    with contextlib.suppress(NotADirectoryError):
        assert not action(Tree(tmp_path / "link", Links.REFUSED), Path("/ours"))
    # then
    assert _everything(outside) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_in_the_guest_a_link_in_the_files_place_is_never_followed(
    guest: Tree, outside: Path, action: Callable[[Tree, Path], object]
) -> None:
    # given
    guest.make_directory(FILE.parent)
    (guest.root / "etc/ours").symlink_to(outside / "ours")
    before = _everything(outside)
    # when: at most the link itself is described, replaced or removed
    with contextlib.suppress(ForeignFileError, GuestPathError, OSError):
        assert action(guest, FILE) != b"precious\n"
    # then
    assert _everything(outside) == before


def test_in_the_guest_a_file_that_no_memory_holds_is_refused_but_for_its_head(guest: Tree) -> None:
    # given: what «truncate» makes
    guest.write(FILE, b"begins")
    os.truncate(guest.real(FILE), 1 << 40)
    # when
    with pytest.raises(GuestPathError, match="ours is longer than 16 MiB") as caught:
        guest.read(FILE)
    # then
    assert "darlingbuilder reset" in caught.value.hint
    assert guest.head(FILE, 6) == b"begins"


def test_on_the_host_a_file_is_read_whole(host: Tree) -> None:
    host.write(FILE, bytes(LONGEST + 1))
    content = host.read(FILE)
    assert content is not None
    assert len(content) == LONGEST + 1


def test_in_the_guest_a_pipe_does_not_keep_us_waiting(guest: Tree) -> None:
    guest.make_directory(FILE.parent)
    os.mkfifo(guest.root / "etc/ours")
    assert guest.read(FILE) is None


@pytest.mark.parametrize("link", [False, True], ids=["a file", "a link to nothing"])
def test_where_a_directory_is_needed_nothing_else_is_touched(host: Tree, *, link: bool) -> None:
    path = host.root / "etc"
    if link:
        path.symlink_to("/nowhere")
    else:
        path.write_text("precious\n")
    before = path.lstat()

    with pytest.raises(ForeignFileError, match="etc is no directory"):
        host.make_directory(FILE.parent, owner=ME)
    with pytest.raises(ForeignFileError, match="etc is no directory"):
        host.write(FILE, b"x")

    assert path.lstat() == before


def _everything(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (directory, *directory.rglob("*"))
    }


def _with_mode(tree: Tree, mode: int) -> Attributes | None:
    found = tree.attributes(FILE)
    return found and Attributes(Kind.FILE, mode, ME, found.mtime_ns, found.size)


def test_a_file_that_is_replaced_can_stay_as_old_as_it_was(host: Tree) -> None:
    host.write(FILE, b"old")
    os.utime(host.real(FILE), ns=(5, 7))
    host.replace(FILE, b"new", mode=0o600, owner=ME, mtime_ns=7)
    assert host.read(FILE) == b"new"
    assert host.attributes(FILE) == Attributes(Kind.FILE, 0o600, ME, 7, 3)
    assert host.names(FILE.parent) == [FILE.name]


def test_a_link_is_replaced_and_what_it_leads_to_is_not(guest: Tree, outside: Path) -> None:
    guest.make_directory(FILE.parent)
    guest.real(FILE).symlink_to(outside / "ours")
    guest.replace(FILE, b"new", mode=0o600, owner=ME)
    assert guest.read(FILE) == b"new"
    assert (outside / "ours").read_text() == "precious\n"


def test_a_link_on_the_way_to_what_is_replaced_is_refused(guest: Tree, outside: Path) -> None:
    guest.real(FILE.parent).symlink_to(outside)
    with pytest.raises(GuestPathError):
        guest.replace(FILE, b"new", mode=0o600, owner=ME)
    assert (outside / "ours").read_text() == "precious\n"


def test_a_directory_is_not_replaced_by_a_file(host: Tree) -> None:
    host.make_directory(FILE)
    with pytest.raises(ForeignFileError, match="is a directory"):
        host.replace(FILE, b"new", mode=0o600, owner=ME)


def test_a_file_is_opened_for_both_and_made_roots_alone(guest: Tree) -> None:
    with guest.opened(Path("/lock")) as descriptor:
        os.write(descriptor, b"held")
    with guest.opened(Path("/lock")) as descriptor:
        assert os.read(descriptor, 10) == b"held"

    found = guest.attributes(Path("/lock"))
    assert found is not None
    assert found.mode == 0o600


@pytest.mark.parametrize("planted", ["lock", "."])
def test_no_link_is_opened(guest: Tree, outside: Path, planted: str) -> None:
    place = guest.root / "store"
    if planted == ".":
        place.symlink_to(outside)
    else:
        place.mkdir()
        (place / "lock").symlink_to(outside / "ours")

    with pytest.raises((GuestPathError, OSError)), guest.opened(Path("/store/lock")):
        pytest.fail("it was opened")

    assert (outside / "ours").read_text() == "precious\n"
    assert not (outside / "lock").exists()


def test_a_directory_is_described_by_what_a_link_leads_to(host: Tree, outside: Path) -> None:
    outside.chmod(0o701)
    host.write_link(Path("/link"), str(outside))
    host.write(FILE, b"")

    found = host.directory(Path("/link"))

    assert found is not None
    assert (found.kind, found.mode) == (Kind.DIRECTORY, 0o701)
    assert host.directory(FILE) is host.directory(Path("/nowhere")) is None
