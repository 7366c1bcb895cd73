"""Sharing as serve runs it: what the guest knows follows the host, and the host keeps what the guest needs."""

import fcntl
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from darlingbuilder.adapters import process, procfs, storedb
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.adapters.process import Start
from darlingbuilder.core import wait
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.paths import NIX_STORE_CONF, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import below, name_of
from darlingbuilder.steps.sharing.parting import part
from darlingbuilder.steps.sharing.sharing import Sharing
from darlingbuilder.steps.sharing.temporary import DIRECTORY
from darlingbuilder.steps.sharing.way import Way
from darlingbuilder.steps.store import Store
from tests.fakes.darling import FakeProgram
from tests.fakes.furnished import scratch
from tests.fakes.nix import add
from tests.fakes.world import FakeWorld, fake_world
from tests.names import HOST_ROOTS
from tests.steps.sharing.two_stores import A, B, C, X, Y

SETTINGS = Settings(store="overlay")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with sharing_machine() as made:
        yield made


@contextmanager
def sharing_machine() -> Iterator[FakeWorld]:
    """Give a machine whose guest is up, with a path on either side."""
    with scratch() as place:
        made = fake_world(place, SETTINGS).with_prefix()
        add(place, A, {"file": "host's"})
        add(state(made), X, {"file": "guest's"})
        account = made.accounts.find(SETTINGS.user)
        made.host.make_directory(Paths(SETTINGS).nix, owner=account.owner if account else None)
        Store(SETTINGS, made).apply()
        with Path(os.devnull).open("wb") as log:
            made.darling.boot(log)
        Store(SETTINGS, made).mount()
        yield made


def state(world: FakeWorld) -> Path:
    return world.host.root / Paths(SETTINGS).state.relative_to("/")


def known(world: FakeWorld) -> set[str]:
    with storedb.opened(state(world) / DATABASE) as database:
        return set(database.numbers().values())


def begun(world: FakeWorld, way: Way = Way.REGISTRATION) -> Sharing:
    sharing = Sharing(SETTINGS, world)
    sharing.sweep()
    sharing.begin(way)
    sharing.look()
    return sharing


def roots(world: FakeWorld) -> set[str]:
    return set(world.host.names(HOST_ROOTS)) - {"running"}


def kept_for_builds(world: FakeWorld) -> set[str]:
    return set(world.host.names(HOST_ROOTS / "running"))


@contextmanager
def temporary_roots(world: FakeWorld, name: str, *paths: str) -> Iterator[BinaryIO]:
    """Be a Nix of the guest's that uses ``paths``, and has died afterwards, its list left behind."""
    place = state(world) / DIRECTORY
    place.mkdir(parents=True, exist_ok=True)
    with (place / name).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"".join(path.encode(errors="surrogateescape") + b"\0" for path in paths))
        file.flush()
        yield file


def wait_for_next_look() -> None:
    time.sleep(1.1)


def test_at_its_start_all_that_the_host_has_is_known(world: FakeWorld) -> None:
    begun(world)
    assert known(world) == {A, X}


def test_what_the_host_makes_is_known_at_the_next_look(world: FakeWorld) -> None:
    sharing = begun(world)
    add(world.host.root, B, {"file": "new"}, (A,))

    sharing.look()

    assert known(world) == {A, B, X}


def test_what_the_host_deletes_is_known_no_more(world: FakeWorld) -> None:
    sharing = begun(world)
    world.nix.forget(world.host.root, [A])

    sharing.look()

    assert known(world) == {X}


def test_what_the_guest_needs_gets_a_root_of_which_running_collectors_are_told(world: FakeWorld) -> None:
    sharing = begun(world)
    add(state(world), Y, {"file": "built"}, (A,))

    sharing.look()

    assert roots(world) == {name_of(A)}
    assert world.host.link(HOST_ROOTS / name_of(A)) == A
    assert world.nix.guarded == {A}


def test_a_name_as_long_as_nix_allows_gets_a_root(world: FakeWorld) -> None:
    sharing = begun(world)
    long = add(world.host.root, f"/nix/store/{'l' * 32}-{'x' * 211}", {"file": "new"})
    sharing.look()
    add(state(world), Y, {"file": "built"}, (long,))

    sharing.look()

    assert roots(world) == {name_of(long)}


def test_a_root_that_nothing_needs_any_more_is_given_back(world: FakeWorld) -> None:
    sharing = begun(world)
    add(state(world), Y, {"file": "built"}, (A,))
    sharing.look()
    world.nix.forget(state(world), [Y])

    sharing.renew(Way.REGISTRATION)

    assert roots(world) == set()


def test_what_lost_its_ground_before_it_could_be_kept_is_lost_with_it(world: FakeWorld) -> None:
    sharing = begun(world)
    add(state(world), Y, {"file": "built"}, (A,))
    world.nix.forget(world.host.root, [A])

    sharing.look()

    assert known(world) == {X}
    assert not below(state(world), Y).exists()
    assert roots(world) == set()


def test_what_a_build_uses_waits_and_keeps_nothing_else_waiting(world: FakeWorld) -> None:
    sharing = begun(world)
    world.nix.busy.add(A)
    delete_on_host(world, A)
    add(world.host.root, C, {"file": "new"})
    sharing.look()
    assert known(world) == {A, C, X}

    world.nix.busy.clear()
    sharing.renew(Way.REGISTRATION)

    assert known(world) == {C, X}


def test_where_the_guest_asks_the_host_itself_nothing_is_registered_but_all_is_withdrawn(world: FakeWorld) -> None:
    sharing = begun(world, Way.LOCAL_OVERLAY)
    assert known(world) == {X}
    # given: it has noted what it was told
    world.nix.load_into(state(world), "".join(described(world, A)).encode())
    sharing.look()

    world.nix.forget(world.host.root, [A])
    sharing.look()

    assert known(world) == {X}


@pytest.mark.parametrize("way", Way)
def test_what_was_remade_with_other_contents_while_nobody_looked_is_known_rightly(world: FakeWorld, way: Way) -> None:
    wrong = "".join(described(world, A)).split("\n")
    wrong[1] = "0" * 64
    world.nix.load_into(state(world), "\n".join(wrong).encode())

    begun(world, way)

    with storedb.opened(state(world) / DATABASE) as guest, storedb.opened(world.host.root / DATABASE) as host:
        assert guest.hashes([A]) == host.hashes([A])


def test_what_is_whole_on_both_sides_is_kept_once_where_the_host_keeps_it(world: FakeWorld) -> None:
    add(state(world), C, {"file": "same"})
    add(state(world), Y, {"file": "built"}, (C,))
    add(world.host.root, C, {"file": "same"})

    begun(world)

    assert known(world) == {A, C, X, Y}
    assert not below(state(world), C).exists()
    assert roots(world) == {name_of(C)}


def test_a_database_that_cannot_be_read_is_said_and_read_later(world: FakeWorld) -> None:
    sharing = begun(world)
    database = world.host.root / DATABASE
    content = database.read_bytes()
    database.write_bytes(b"garbage" * 1000)
    sharing.look()

    database.write_bytes(content)
    sharing.renew(Way.REGISTRATION)

    assert known(world) == {A, X}


def test_rows_that_no_nix_would_write_end_nothing_and_are_named(world: FakeWorld) -> None:
    sharing = begun(world)
    first, second = (f"{path}\n{'0' * 64}\n0\n\n2\n{other}\n{A}\n" for path, other in ((B, C), (C, B)))
    world.nix.load_into(state(world), (first + second).encode())
    world.nix.forget(world.host.root, [A])

    sharing.look()

    with pytest.raises(NixError, match="cycle") as caught:
        begun(world)
    assert "darlingbuilder reset" in caught.value.hint


def test_rows_that_refer_from_nowhere_end_nothing_either(world: FakeWorld) -> None:
    sharing = begun(world)
    with closing(sqlite3.connect(state(world) / DATABASE)) as database, database:
        database.execute("insert into Refs select 4711, id from ValidPaths where path = ?", (A,))
    world.nix.forget(world.host.root, [A])

    sharing.look()

    with pytest.raises(NixError, match="FOREIGN KEY"):
        begun(world)


def test_roots_that_cannot_be_written_end_nothing_and_are_written_later(world: FakeWorld) -> None:
    sharing = begun(world)
    place = world.host.real(HOST_ROOTS)
    place.rmdir()
    place.symlink_to(place)
    add(state(world), Y, {"file": "built"}, (A,))
    sharing.look()

    place.unlink()
    sharing.tidy()

    assert roots(world) == {name_of(A)}


def test_what_a_running_nix_of_the_guest_uses_is_kept_for_as_long(world: FakeWorld) -> None:
    sharing = begun(world)
    with temporary_roots(world, "4711", A, B, X):
        sharing.look()
        assert kept_for_builds(world) == {name_of(A)}
        assert world.nix.guarded == {A}
        # then: what is kept for own paths is not touched by a tidying up, nor the other way round
        sharing.tidy()
        assert kept_for_builds(world) == {name_of(A)}
    # given: it has died, and its list is left
    wait_for_next_look()
    sharing.look()
    assert kept_for_builds(world) == set()


def test_what_comes_into_use_later_is_kept_and_what_is_out_of_use_given_back(world: FakeWorld) -> None:
    add(world.host.root, B, {"file": "host's"})
    sharing = begun(world)
    with temporary_roots(world, "1", A) as growing:
        sharing.look()
        growing.write(B.encode() + b"\0")
        growing.flush()
        sharing.look()
        assert kept_for_builds(world) == {name_of(A), name_of(B)}
        (state(world) / DIRECTORY / "1").unlink()
        sharing.look()
        assert kept_for_builds(world) == set()


def test_what_a_builder_s_command_line_names_is_kept_while_it_runs(world: FakeWorld) -> None:
    sharing = begun(world)
    with temporary_roots(world, "1"):
        world.darling.start("/bin/builder", "-c", f"cat {A}/text >> {X}", log=BytesIO())
        sharing.look()
        assert kept_for_builds(world) == {name_of(A)}
        world.darling.programs[-1].code = 0
        wait_for_next_look()
        sharing.look()
        assert kept_for_builds(world) == set()


def test_what_a_build_is_given_in_files_is_kept_while_it_runs(world: FakeWorld, tmp_path: Path) -> None:
    for path in (B, C):
        add(world.host.root, path, {"file": "host's"})
    sharing = begun(world)
    top = world.darling.files().real(Path("/private/tmp/nix-build-x"))
    top.mkdir(parents=True)
    (top / ".attr-0").write_text(f"cat {A}/text")
    (top / ".attrs.json").write_text(f'{{"needed":["{B}"]}}')
    # given: what has nothing to do with it, or leads elsewhere
    (top / "source").write_text(C)
    (tmp_path / "secret").write_text(C)
    (top / ".attr-link").symlink_to(tmp_path / "secret")
    os.mkfifo(top / ".attr-pipe")
    inside = f"/{top.relative_to(world.darling.prefix)}"
    with temporary_roots(world, "1"), running_build(world, inside), running_build(world, f"/../../{tmp_path}"):
        sharing.look()
        assert kept_for_builds(world) == {name_of(A), name_of(B)}


@contextmanager
def running_build(world: FakeWorld, top: str) -> Iterator[None]:
    """Have a process run in the guest that has a build's environment."""
    words = ("env", "-i", f"NIX_BUILD_TOP={top}", "/bin/sleep", "60")
    with Path(os.devnull).open("wb") as log:
        child = process.spawn(*words, start=Start(), log=log)
    assert wait.until(lambda: f"NIX_BUILD_TOP={top}" in procfs.environment(child.pid), seconds=5)
    world.darling.programs.append(FakeProgram(child.pid, ("/bin/bash",)))
    try:
        yield
    finally:
        process.kill(child.pid, signal.SIGKILL)
        child.wait()


def test_at_the_builder_s_end_nothing_is_kept_for_builds(world: FakeWorld) -> None:
    sharing = begun(world)
    with temporary_roots(world, "1", A):
        sharing.look()
        sharing.end()
    assert kept_for_builds(world) == set()


def test_what_the_guest_puts_among_its_lists_does_no_harm(world: FakeWorld) -> None:
    sharing = begun(world)
    with temporary_roots(world, "1", A, "/nix/store/../../etc/passwd", "\udcff") as lists:
        place = Path(lists.name).parent
        os.mkfifo(place / "2")
        (place / "3").symlink_to("/dev/zero")
        (place / "4").mkdir()
        sharing.look()
        assert kept_for_builds(world) == {name_of(A)}
        # and: where a link stands in the place of the directory, it is not followed
        place.rename(place.with_name("elsewhere"))
        place.symlink_to("elsewhere")
        sharing.look()
        assert kept_for_builds(world) == set()


def test_names_that_the_guest_makes_up_get_no_root(world: FakeWorld) -> None:
    sharing = begun(world)
    profiles = state(world) / "nix/var/nix/profiles"
    (profiles / "evil").symlink_to("/nix/store/../../etc/passwd")
    (profiles / "unknown").symlink_to(B)
    sharing.tidy()
    assert roots(world) == set()


def test_no_derivation_of_the_host_s_is_kept_for_keeping_it_would_build_it(world: FakeWorld) -> None:
    derivation = f"{B}.drv"
    add(world.host.root, derivation, {"file": "host's"})
    sharing = begun(world)
    with temporary_roots(world, "1", A, derivation):
        sharing.look()
        assert kept_for_builds(world) == {name_of(A)}
    assert world.nix.guarded == {A}


def test_after_a_switch_to_a_store_of_its_own_nothing_is_left(world: FakeWorld) -> None:
    sharing = begun(world)
    add(state(world), Y, {"file": "built"}, (A,))
    sharing.look()

    part(Settings(store="copy"), world)

    assert known(world) == {X}
    assert world.host.attributes(HOST_ROOTS) is None
    part(Settings(store="copy"), world)


def test_nothing_of_the_host_s_database_is_written(world: FakeWorld) -> None:
    before = (world.host.root / DATABASE).read_bytes()
    sharing = begun(world)
    sharing.renew(Way.REGISTRATION)
    assert (world.host.root / DATABASE).read_bytes() == before
    assert world.darling.files().read(NIX_STORE_CONF) is None


def delete_on_host(world: FakeWorld, path: str) -> None:
    busy, world.nix.busy = world.nix.busy, set()
    world.nix.forget(world.host.root, [path])
    world.nix.busy = busy


def described(world: FakeWorld, *paths: str) -> list[str]:
    with storedb.opened(world.host.root / DATABASE) as database:
        return [one.registration for one in database.described(database.valid(paths).values())]
