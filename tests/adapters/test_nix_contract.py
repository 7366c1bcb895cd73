"""What every HostNix does, the fake and, where a Nix is found, the real one."""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.nix import HostNix, NixCommand
from darlingbuilder.adapters.nixcopy import DATABASE, Store
from darlingbuilder.core.errors import NixError, PrerequisiteError
from darlingbuilder.core.storepath import below
from tests.fakes.nar import nar_size, registration
from tests.fakes.nix import FakeHostNix, add

PATH = "/nix/store/zhkrf34sb7x28l10jzzzmf809cl6rxw3-hello"
NEEDED = "/nix/store/fr5s02kp885ig66grnrg4vmdwvx3s4rh-needed"
ELSEWHERE = "/nix/store/44444444444444444444444444444444-elsewhere"
UNKNOWN = "/nix/store/00000000000000000000000000000000-unknown"
FILES = {"bin/hello": "#!/bin/sh\n", "share/text": "text\n"}


class Host(Protocol):
    """A host with a Nix whose store can be given something."""

    nix: HostNix

    def give(self, files: Mapping[str, str]) -> str:
        """Make a path with ``files`` valid in the host's store."""


class FakeHost:
    def __init__(self, directory: Path) -> None:
        self.root = directory / "host"
        self.nix: HostNix = FakeHostNix(self.root)

    def give(self, files: Mapping[str, str]) -> str:
        return add(self.root, PATH, files)


class RealHost:
    def __init__(self, directory: Path) -> None:
        self.directory = directory / "hello"
        self.nix: HostNix = NixCommand()

    def give(self, files: Mapping[str, str]) -> str:
        for name, content in files.items():
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_text(content)
        return process.run("nix-store", "--add", self.directory).stdout.strip()


HOSTS = [FakeHost, *([RealHost] if process.find("nix-store") else [])]


@pytest.fixture(params=HOSTS, ids=lambda kind: kind.__name__)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    found: Host = request.param(tmp_path)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root whose store is still to be made, with a «+» and a space in its name."""
    directory = tmp_path / "a root+"
    (directory / "nix").mkdir(parents=True)
    return directory


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Give a root that holds the files of two paths, and no database."""
    directory = tmp_path / "unpacked"
    for path in (PATH, NEEDED):
        for name, content in FILES.items():
            file = below(directory, path) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    return directory


def described(unpacked: Path) -> bytes:
    needing = registration(PATH, below(unpacked, PATH), (NEEDED, PATH))
    return (needing + registration(NEEDED, below(unpacked, NEEDED))).encode()


def test_the_version_is_a_tuple_of_numbers_and_the_name_a_word(host: Host) -> None:
    assert host.nix.version() >= (2, 8)
    assert host.nix.name() == "Nix"  # Debian's is upstream's


def test_the_settings_are_values_by_name(host: Host) -> None:
    settings = host.nix.settings()

    assert isinstance(settings["substituters"], list)
    assert isinstance(settings["trusted-public-keys"], list)


def test_what_is_copied_is_there_and_valid(host: Host, root: Path) -> None:
    path = host.give(FILES)
    assert not host.nix.has(root, path)

    host.nix.copy_into(root, [path])

    assert host.nix.has(root, path)
    assert (below(root, path) / "share/text").read_text() == "text\n"
    assert (root / DATABASE).is_file()


def test_copying_twice_changes_nothing(host: Host, root: Path) -> None:
    path = host.give(FILES)
    host.nix.copy_into(root, [path])
    before = (below(root, path) / "share/text").stat()

    host.nix.copy_into(root, [path])

    after = (below(root, path) / "share/text").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_asking_what_is_there_touches_nothing(host: Host, root: Path) -> None:
    path = host.give(FILES)
    host.nix.copy_into(root, [path])
    before = times(root)

    assert host.nix.has(root, path)

    assert times(root) == before


def test_asking_makes_no_store(host: Host, root: Path) -> None:
    assert not host.nix.has(root, UNKNOWN)

    assert list((root / "nix").iterdir()) == []


def test_a_path_that_is_not_there_is_not_valid(host: Host, root: Path) -> None:
    host.nix.copy_into(root, [host.give(FILES)])

    assert not host.nix.has(root, UNKNOWN)


def test_what_was_deleted_behind_the_database_s_back_comes_again(host: Host, root: Path) -> None:
    path = host.give(FILES)
    host.nix.copy_into(root, [path])
    delete(below(root, path))

    host.nix.copy_into(root, [path])

    assert (below(root, path) / "share/text").read_text() == "text\n"


def test_for_what_was_lost_nothing_else_is_forgotten(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    host.nix.copy_into(root, [PATH], origin=unpacked)
    # given: one that lies elsewhere, as those of a shared store do
    elsewhere = registration(ELSEWHERE, below(unpacked, NEEDED))
    host.nix.load_into(root, elsewhere.encode())
    delete(below(root, NEEDED))

    host.nix.copy_into(root, [PATH], origin=unpacked)

    assert (below(root, NEEDED) / "share/text").read_text() == "text\n"
    assert (below(root, PATH) / "share/text").read_text() == "text\n"
    assert host.nix.has(root, ELSEWHERE)


def test_what_needs_something_that_was_lost_is_forgotten_with_it(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    host.nix.copy_into(root, [PATH], origin=unpacked)
    delete(below(root, NEEDED))

    host.nix.copy_into(root, [NEEDED], origin=unpacked)

    assert host.nix.has(root, NEEDED)
    assert below(root, NEEDED).exists()
    assert not host.nix.has(root, PATH)


def test_what_is_fetched_already_needs_no_network(host: Host) -> None:
    path = host.give(FILES)

    host.nix.fetch(path)

    assert host.nix.closure(path) == [path]


def test_what_nobody_has_cannot_be_fetched(host: Host) -> None:
    with pytest.raises(NixError, match=f"failed at fetching {UNKNOWN}") as caught:
        host.nix.fetch(UNKNOWN)

    assert "nix.tarball" in caught.value.hint


def test_an_unknown_path_has_no_closure(host: Host) -> None:
    with pytest.raises(NixError, match=UNKNOWN):
        host.nix.closure(UNKNOWN)


def test_a_registration_makes_what_was_unpacked_valid(host: Host, unpacked: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))

    assert host.nix.has(unpacked, PATH)
    assert sorted(host.nix.closure(PATH, root=unpacked)) == sorted([PATH, NEEDED])


def test_what_was_unpacked_is_copied_with_all_it_needs(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))

    host.nix.copy_into(root, [PATH], origin=unpacked)

    assert host.nix.has(root, PATH)
    assert (below(root, NEEDED) / "share/text").read_text() == "text\n"


def test_freight_is_what_the_target_lacks_in_the_order_of_references(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))

    freight = host.nix.freight([PATH], source=Store(unpacked), target=Store(root))

    assert (freight.paths, freight.present) == ((NEEDED, PATH), ())
    assert freight.size == nar_size(below(unpacked, PATH)) + nar_size(below(unpacked, NEEDED))


def test_what_was_carried_is_no_freight_any_more(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    moved: list[int] = []
    host.nix.carry(host.nix.freight([NEEDED], source=Store(unpacked), target=Store(root)), moved=moved.append)
    assert sum(moved) >= nar_size(below(unpacked, NEEDED))

    rest = host.nix.freight([PATH], source=Store(unpacked), target=Store(root))

    assert (rest.paths, rest.present) == ((PATH,), (NEEDED,))
    host.nix.carry(rest)
    assert host.nix.has(root, PATH)
    assert host.nix.freight([PATH], source=Store(unpacked), target=Store(root)).paths == ()


def test_no_freight_of_a_path_that_the_source_does_not_have(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    with pytest.raises(NixError, match=UNKNOWN):
        host.nix.freight([UNKNOWN], source=Store(unpacked), target=Store(root))


def test_content_that_is_not_as_registered_is_not_copied(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    (below(unpacked, NEEDED) / "share/text").write_text("tampered\n")

    with pytest.raises(NixError, match=r"hash .*has changed"):
        host.nix.copy_into(root, [PATH], origin=unpacked)

    assert not host.nix.has(root, NEEDED)


def test_a_path_that_is_registered_and_missing_is_not_copied(host: Host, unpacked: Path, root: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    delete(below(unpacked, NEEDED))

    with pytest.raises(NixError, match="failed at copying"):
        host.nix.copy_into(root, [PATH], origin=unpacked)


def test_a_registration_that_is_none_is_refused(host: Host, unpacked: Path) -> None:
    with pytest.raises(NixError, match="reading a registration") as caught:
        host.nix.load_into(unpacked, b"garbage\n")

    assert "damaged" in caught.value.hint


def test_what_is_forgotten_is_not_valid_and_not_there(host: Host, unpacked: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))

    host.nix.forget(unpacked, [PATH])

    assert not host.nix.has(unpacked, PATH)
    assert host.nix.has(unpacked, NEEDED)
    assert not below(unpacked, PATH).exists()
    assert below(unpacked, NEEDED).exists()


def test_what_lies_elsewhere_is_forgotten_all_the_same(host: Host, unpacked: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))
    delete(below(unpacked, PATH))

    host.nix.forget(unpacked, [PATH])

    assert not host.nix.has(unpacked, PATH)


def test_what_something_else_needs_is_not_forgotten_without_it(host: Host, unpacked: Path) -> None:
    host.nix.load_into(unpacked, described(unpacked))

    with pytest.raises(NixError, match="alive"):
        host.nix.forget(unpacked, [NEEDED])

    assert host.nix.has(unpacked, NEEDED)
    host.nix.forget(unpacked, [PATH, NEEDED])
    assert not host.nix.has(unpacked, NEEDED)


def test_guarding_fetches_nothing_and_minds_nothing_that_is_unknown(host: Host) -> None:
    path = host.give(FILES)

    host.nix.guard([path, UNKNOWN])

    assert host.nix.closure(path) == [path]
    with pytest.raises(NixError):
        host.nix.closure(UNKNOWN)


def test_a_host_without_nix_says_so(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the host has no Nix"):
        FakeHostNix(tmp_path, installed=False).version()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_broken_database_is_an_invalid_path_at_most(root: Path, content: bytes) -> None:
    (root / DATABASE).parent.mkdir(parents=True)
    (root / DATABASE).write_bytes(content)

    assert not looks_registered(root)


def test_a_database_whose_answer_never_ends_is_given_up(root: Path) -> None:
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select x as path from n"
    (root / DATABASE).parent.mkdir(parents=True)
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute(f"create view ValidPaths as {endless}")

    assert not looks_registered(root)


def test_a_registered_path_is_found_without_asking_nix(root: Path) -> None:
    (root / DATABASE).parent.mkdir(parents=True)
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("create table ValidPaths (path text)")
        database.execute("insert into ValidPaths values (?)", (PATH,))
        database.commit()

    assert looks_registered(root)


def looks_registered(root: Path) -> bool:
    """Ask the real one, on a machine that may have no Nix: then what it would ask of Nix has no answer."""
    try:
        return NixCommand().has(root, PATH)
    except PrerequisiteError:
        return False


def times(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in root.rglob("*")}


def delete(path: Path) -> None:
    """Delete a store path, whose directories nobody may write."""
    for directory in (path, *path.rglob("*")):
        if directory.is_dir():
            directory.chmod(0o755)
    shutil.rmtree(path)


def test_a_file_can_be_put_into_the_host_s_store_and_taken_away(host: Host) -> None:
    path = host.give(FILES)

    with host.nix.writable_store() as store:
        assert Path(path).name in store.names(Path("/"))
        with store.opened(Path("/.darlingbuilder-contract")) as descriptor:
            assert os.fstat(descriptor).st_mode & 0o777 == 0o600
        assert ".darlingbuilder-contract" in store.names(Path("/"))
        store.remove(Path("/.darlingbuilder-contract"))
        assert ".darlingbuilder-contract" not in store.names(Path("/"))
