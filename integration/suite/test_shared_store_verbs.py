"""The verbs around the store where it is shared: what they put in its place is in line with the host's at once."""

import time
from collections.abc import Iterator

import pytest

from integration.machine.guestnix import ReleaseTarball, load_into_host_store
from integration.suite.sharing import NIX, ROOTS, assert_clean, build, guest, make, own
from integration.suite.site import STATE, Site
from integration.suite.storage import (
    PLANTED,
    answer,
    built_in_guest,
    give_e2fsprogs,
    give_loop_devices,
    heal,
    interrupted,
    path_of,
)

pytestmark = pytest.mark.parametrize("machine", ["trixie"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["registration", "local-overlay"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared(site: Site, way: str) -> Iterator[Site]:
    """Give a builder that shares the host's store, on a machine that can mount a file system in a file."""
    if way == "local-overlay":
        site.machine.run("chmod", "0755", "/nix/var/nix/daemon-socket")
    give_e2fsprogs(site.machine)
    give_loop_devices(site.machine)
    share(site, way).tool("init")
    yield site
    site.tool("uninstall", "--purge")
    assert not site.file(ROOTS).exists()
    assert site.machine.run("find", STATE, check=False).stdout == ""
    site.machine.run("nix-collect-garbage")


def share(site: Site, way: str, **settings: object) -> Site:
    return site.configure(store="overlay", store_validity=way, **settings)


def added(site: Site, name: str, count: int) -> None:
    """Give the host's store ``count`` more paths."""
    script = "for number in $(seq $1); do echo $0 $number > /tmp/added; nix-store --add /tmp/added; done"
    site.machine.run("sh", "-c", script, name, str(count))


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def built_on(site: Site, name: str, path: str) -> str:
    """Have the guest's Nix build something that refers to ``path`` and that the host does not hear of."""
    expression = (
        f'derivation {{ name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'args = [ "-c" "echo $input > $out; exit 0" ]; input = builtins.storePath {path}; }}'
    )
    command = ("/usr/bin/env", "NIX_CONF_DIR=/private/etc/nix", NIX.replace("nix-store", "nix-build"))
    return path_of(site.tool("shell", *command, "--no-out-link", "--expr", expression))


def assert_shares(site: Site, name: str) -> None:
    """See that a path made on the host is an input that nobody copies, and that either side is whole."""
    path = make(site, f"input-{name}", name)
    time.sleep(1)
    _, told = build(site, f"output-{name}", path)
    assert "copying 0 paths" in told
    assert name_of(path) not in own(site)
    assert_clean(site)


def test_a_push_of_what_the_guest_sees_copies_nothing_and_says_so(shared: Site, way: str) -> None:
    path = make(shared, f"pushed-{way}", "pushed")

    assert "Nothing to copy: the guest sees this machine's store" in shared.tool("push", path).stdout
    assert answer(shared.tool("push", path, "--json"))["copied"] == []

    assert name_of(path) not in own(shared)


def test_a_pull_brings_what_the_guest_alone_has_with_references_to_the_host_s(shared: Site, way: str) -> None:
    path = make(shared, f"base-{way}", "base")
    time.sleep(1)
    mine = built_on(shared, f"pulled-{way}", path)

    assert answer(shared.tool("pull", mine, "--json"))["copied"] == [mine]

    assert shared.machine.run("nix-store", "--query", "--references", mine).stdout.split() == [path]
    shared.machine.run("nix-store", "--verify-path", mine)


def test_status_says_what_is_shared(shared: Site, way: str) -> None:
    before = shared.status()[1]["store"]
    make(shared, f"large-{way}", "x" * 100_000)
    after = shared.status()[1]["store"]
    assert after["shared"] - before["shared"] >= 100_000
    assert before["own"] > 0
    assert after["own"] == before["own"]


@pytest.mark.parametrize("keep_store", [True, False])
def test_a_reset_builder_shares_the_store_again(shared: Site, way: str, *, keep_store: bool) -> None:
    path = make(shared, f"before-reset-{way}", "before")
    time.sleep(1)
    mine = built_on(shared, f"mine-{way}-{keep_store}", path)

    shared.tool("reset", "--yes", *(("--keep-store",) if keep_store else ()))

    assert (name_of(mine) in own(shared)) is keep_store
    assert shared.file(f"{ROOTS}/{name_of(path)}").is_symlink() is keep_store
    shared.assert_healthy()
    assert_shares(shared, f"reset-{way}-{keep_store}")


def test_a_reset_that_is_killed_is_ended_by_init(shared: Site, way: str) -> None:
    for attempt, seconds in enumerate((0.6, 1.2, 2.0)):
        interrupted(shared, "reset", "--yes", seconds=seconds)
        heal(shared, "init")
        shared.assert_healthy(build=False)
        assert_shares(shared, f"killed-{way}-{attempt}")


def test_a_snapshot_is_brought_into_line_with_what_the_host_has_by_now(shared: Site, way: str) -> None:
    stays, goes, lost = (make(shared, f"{name}-{way}", name) for name in ("stays", "goes", "lost"))
    time.sleep(1)
    kept, groundless = built_on(shared, f"kept-{way}", stays), built_on(shared, f"groundless-{way}", lost)
    shared.tool("snapshot", "create", "shared")
    # given: what the guest needs no more, and the host has deleted
    shared.tool("reset", "--yes")
    shared.machine.run("nix-store", "--delete", goes, lost)
    since = make(shared, f"since-{way}", "since")

    shared.tool("snapshot", "restore", "shared")

    assert name_of(kept) in own(shared)
    assert name_of(groundless) not in own(shared)
    assert shared.file(f"{ROOTS}/{name_of(stays)}").is_symlink()
    told = guest(shared, "--query", "--references", kept)
    assert stays in told
    for gone in (goes, lost, groundless):
        assert shared.tool("shell", NIX, "--check-validity", gone, check=False).rc != 0
    assert "copying 0 paths" in build(shared, f"on-since-{way}", since)[1]
    shared.assert_healthy()
    assert_clean(shared)


def test_a_snapshot_of_a_shared_store_can_take_the_place_of_one_that_is_not(shared: Site, way: str) -> None:
    path = make(shared, f"below-{way}", "below")
    time.sleep(1)
    mine, leaning = path_of(built_in_guest(shared, f"alone-{way}")), built_on(shared, f"leaning-{way}", path)
    shared.tool("snapshot", "create", "over")
    shared.configure().tool("init")
    assert not shared.file(ROOTS).exists()

    shared.tool("snapshot", "restore", "over")

    assert name_of(mine) in own(shared)
    assert name_of(leaning) not in own(shared)
    assert shared.tool("shell", NIX, "--check-validity", path, check=False).rc != 0
    assert not shared.file(ROOTS).exists()
    assert not shared.file(f"{STATE}/nix/.overlay").exists()
    shared.assert_healthy()
    assert_clean(shared)
    # And back: one that is not shared, in the place of one that is.
    shared.tool("snapshot", "create", "alone")
    share(shared, way).tool("init")
    shared.tool("snapshot", "restore", "alone")
    shared.assert_healthy()
    assert_shares(shared, f"again-{way}")
    for name in ("shared", "over", "alone"):
        shared.tool("snapshot", "delete", name, check=False)


def test_an_ephemeral_builder_shares_the_store_from_each_start(shared: Site, way: str) -> None:
    share(shared, way, ephemeral=True).tool("init")
    for attempt in range(2):
        mine = path_of(built_in_guest(shared, f"forgotten-{way}-{attempt}"))
        shared.tool("restart")
        assert not shared.file(PLANTED).exists()
        assert name_of(mine) not in own(shared)
        shared.assert_healthy()
        assert_shares(shared, f"ephemeral-{way}-{attempt}")
    share(shared, way).tool("init")


def test_another_nix_that_the_host_has_becomes_the_guest_s_own_while_it_runs(
    shared: Site, way: str, newer: ReleaseTarball
) -> None:
    path = make(shared, f"through-{way}", "through")
    load_into_host_store(shared.machine, newer)
    time.sleep(1)
    # given: the guest knows that Nix as the host's
    assert shared.tool("shell", "/bin/ls", newer.nix).rc == 0

    shared.settings = {key: value for key, value in shared.settings.items() if not key.startswith("nix__")}
    shared.set(nix__package=newer.nix).tool("init")

    assert name_of(newer.nix) in own(shared)
    assert shared.status()[1]["nix"]["guest"] == newer.version
    assert "copying 0 paths" in build(shared, f"after-{way}", path)[1]
    shared.assert_healthy()
    assert_clean(shared)
    share(shared, way).tool("init")


def test_a_start_makes_room_in_a_full_store(shared: Site, way: str) -> None:
    share(shared, way, store_size="700M").tool("init")

    failed = built_in_guest(
        shared, f"too-large-{way}", script="/usr/bin/head -c 800000000 /dev/zero > $out || exit 1", check=False
    )

    assert (failed.rc != 0, "No space left on device" in failed.stderr) == (True, True)
    # Now there is no room to tell the guest's Nix of anything, and nobody ends for that.
    serving = shared.status()[1]["container"]
    added(shared, f"told-{way}", 50)
    time.sleep(3)
    assert shared.status()[1]["container"] == serving
    # A start that has something to tell makes some.
    shared.tool("restart")
    shared.assert_healthy()


def test_a_limited_store_lies_over_the_host_s(shared: Site, way: str) -> None:
    share(shared, way, store_size="700M").tool("init")
    shared.assert_healthy()
    assert_shares(shared, f"limited-{way}")
    assert shared.status()[1]["store"]["free"] < 700 * 2**20
    assert "nothing was changed" in shared.tool("init").stdout

    built_in_guest(shared, f"large-{way}", script="/usr/bin/head -c 400000000 /dev/zero > $out; exit 0")
    shared.tool("snapshot", "create", "large")
    refused = shared.tool("snapshot", "restore", "large", check=False)
    assert (refused.rc, "no room for the snapshot" in refused.stderr) == (1, True)
    shared.tool("gc")
    shared.assert_healthy()
    kept = path_of(built_in_guest(shared, f"limited-{way}"))
    shared.tool("snapshot", "create", "limited")
    shared.tool("reset", "--yes")
    assert name_of(kept) not in own(shared)
    shared.tool("snapshot", "restore", "limited")
    assert name_of(kept) in own(shared)
    assert_shares(shared, f"restored-{way}")
    share(shared, way).tool("init")
    shared.assert_healthy()
    assert name_of(kept) in own(shared)
    assert_shares(shared, f"lifted-{way}")
    for name in ("large", "limited"):
        shared.tool("snapshot", "delete", name)
