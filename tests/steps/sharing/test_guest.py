"""What the guest's database says of the host's paths, on real databases and files."""

import fcntl
import shutil
import time
from pathlib import Path

import pytest

from darlingbuilder.adapters import storedb
from darlingbuilder.adapters.nixcopy import DATABASE
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.storepath import below
from darlingbuilder.core.tree import Tree
from tests.fakes.deep import NAME, dig, few_descriptors
from tests.steps.sharing.two_stores import A, B, C, D, TwoStores, X, Y, two_stores


@pytest.fixture
def stores(tmp_path: Path) -> TwoStores:
    return two_stores(tmp_path)


@pytest.mark.parametrize("running", [True, False])
def test_what_is_valid_on_the_host_becomes_valid_in_the_guest(stores: TwoStores, *, running: bool) -> None:
    stores.add_to_host(B, A, B)
    stores.add_to_host(C, B)
    stores.remount()

    done = stores.register(running=running)

    assert (done.registered, done.later) == (3, frozenset())
    assert stores.known() == {A, B, C, X}
    with storedb.opened(stores.guest / DATABASE) as database:
        assert database.references(database.valid([B]).values()).popitem()[1] == (A, B)
    assert stores.register(running=running).registered == 0


def test_nothing_is_written_to_the_host(stores: TwoStores) -> None:
    before = {path: path.read_bytes() for path in stores.host.rglob("*") if path.is_file()}
    stores.register()
    assert {path: path.read_bytes() for path in stores.host.rglob("*") if path.is_file()} == before


def test_a_path_that_the_guest_is_at_work_on_waits_and_so_does_what_needs_it(stores: TwoStores) -> None:
    stores.add_to_host(B, A)
    stores.add_to_host(C)
    stores.remount()
    with stores.lock(A).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = stores.register()

    assert (done.registered, done.later) == (1, frozenset({A, B}))
    assert stores.known() == {C, X}


def test_locks_are_gone_afterwards(stores: TwoStores) -> None:
    stores.register()
    assert not stores.lock(A).exists()


def test_a_path_that_is_not_seen_yet_waits_for_a_remount(stores: TwoStores) -> None:
    stores.add_to_host(B)
    done = stores.register()
    assert (done.hidden, done.later) == (1, frozenset({B}))

    stores.remount()

    assert stores.register().registered == 1


def test_the_rest_of_a_failed_build_is_swept_before_the_host_s_path_counts(stores: TwoStores) -> None:
    stores.leave_in_guest(A)

    done = stores.register()

    assert (done.registered, done.later, done.uncovered) == (0, frozenset({A}), 1)
    assert not stores.own(A)
    assert stores.register().registered == 1


def test_what_the_guest_has_made_itself_stays_as_it_is(stores: TwoStores) -> None:
    stores.add_to_host(X, text="another")
    stores.remount()

    assert stores.register().registered == 1  # A

    with storedb.opened(stores.guest / DATABASE) as guest, storedb.opened(stores.host / DATABASE) as host:
        assert guest.hashes([X]) != host.hashes([X])


def test_a_path_with_other_contents_by_now_is_described_anew(stores: TwoStores) -> None:
    stores.register()
    stores.nix.forget(stores.host, [A])
    stores.add_to_host(A, text="remade")

    assert stores.register().registered == 1

    with storedb.opened(stores.guest / DATABASE) as guest, storedb.opened(stores.host / DATABASE) as host:
        assert guest.hashes([A]) == host.hashes([A])


def test_derivations_stay_on_the_host_and_so_does_what_refers_to_them(stores: TwoStores) -> None:
    derivation = stores.add_to_host(f"{D}.drv")
    stores.add_to_host(C, derivation)
    stores.remount()

    done = stores.register()

    assert done.later == frozenset()
    assert stores.known() == {A, X}


def test_what_the_host_deletes_is_withdrawn_with_what_needs_it(stores: TwoStores) -> None:
    # given: the guest has made Y of a shared path
    stores.add_to_host(B, A)
    stores.remount()
    stores.register()
    stores.add_to_guest(Y, B)
    # when
    stores.nix.forget(stores.host, [B, A])
    with stores.store() as store:
        count = store.withdraw([A], frozenset()).count
    # then
    assert count == 3
    assert stores.known() == {X}
    assert not stores.own(Y)
    assert stores.own(X)


def test_what_is_the_guest_s_own_is_not_withdrawn(stores: TwoStores) -> None:
    with stores.store() as store:
        assert store.withdraw(None, frozenset()).count == 0
    assert stores.known() == {X}


def test_what_a_build_uses_is_not_withdrawn_and_said(stores: TwoStores) -> None:
    stores.register()
    stores.nix.busy.add(A)
    with stores.store() as store, pytest.raises(NixError):
        store.withdraw(None, frozenset())
    assert A in stores.known()


def test_what_own_paths_and_roots_need_of_the_host_is_told(stores: TwoStores) -> None:
    for path in (A, B, C):
        stores.add_to_host(path)
    stores.remount()
    stores.register()
    stores.add_to_guest(Y, A, X)
    (stores.guest / "nix/var/nix/profiles/p").symlink_to(B)
    with stores.store() as store:
        leaning = store.leaning(above=0)
        assert leaning.paths == {A, B}
        # then: once looked at, own paths are not looked at again, roots are
        assert store.leaning(above=leaning.number).paths == {B}


def test_roots_are_found_however_deep_others_lie(stores: TwoStores) -> None:
    roots = stores.guest / "nix/var/nix/gcroots"
    stores.register()
    dig(roots)
    (roots / NAME / NAME / "p").symlink_to(A)
    try:
        with stores.store() as store, few_descriptors():
            assert A in store.leaning(above=0).paths
    finally:
        Tree(roots).remove(Path("/") / NAME)


def test_what_is_whole_on_both_sides_is_found_but_not_what_the_guest_s_roots_need(stores: TwoStores) -> None:
    for path in (B, C, D):
        stores.add_to_guest(path, text="host's")
    stores.add_to_guest(Y, D)
    for path in (B, C, D):
        stores.add_to_host(path)
    stores.add_to_host(Y, D)
    (stores.guest / "nix/var/nix/profiles/p").symlink_to(Y)
    with stores.store() as store:
        hosts = stores.paths
        hosts.look()
        assert store.duplicates(hosts.valid) == {B, C}
        assert store.remove([B]) == {B}
    assert stores.known() >= {B, C, D}
    assert not stores.own(B)


def test_what_no_build_has_finished_and_nothing_else_is_swept(stores: TwoStores) -> None:
    forgotten = below(stores.guest, f"{B}.lock")
    forgotten.touch()
    stores.leave_in_guest(C)
    # given: a path of the guest's that is called as a lock may be
    cargo = below(stores.guest, f"{D}-Cargo.lock")
    stores.add_to_guest(f"{D}-Cargo.lock")
    shutil.rmtree(cargo)
    cargo.touch()
    links = stores.guest / "nix/store/.links"
    links.mkdir()
    with stores.store() as store:
        assert store.sweep() == 2
    assert not forgotten.exists()
    assert not stores.own(C)
    assert cargo.exists()
    assert links.exists()
    assert stores.own(X)


def test_of_dead_paths_the_old_ones_are_collected_unless_a_young_one_needs_them(stores: TwoStores) -> None:
    stores.add_to_guest(A)
    stores.add_to_guest(B, A)
    stores.add_to_guest(C)
    with storedb.opened(stores.guest / DATABASE) as database:
        assert len(database.times([A, B, C])) == 3
    with stores.store() as store:
        assert store.collectable([A, B, C], before=time.time() - 60) == []
        assert sorted(store.collectable([A, B, C], before=time.time() + 60)) == [A, B, C]
        order = store.collectable([A, B], before=time.time() + 60)
        assert order == [B, A]
