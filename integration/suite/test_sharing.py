"""The host's store paths in the guest's builds: valid at once, whole, not copied, and taken back with the host's."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from integration.suite.sharing import (
    NIX,
    ROOTS,
    assert_clean,
    assert_verified,
    build,
    expression_of,
    guest,
    make,
    open_daemon,
    own,
    until,
    users_of_container,
)
from integration.suite.site import STATE, UNIT, USER, Site

REGISTRATION, LOCAL_OVERLAY = "registration", "local-overlay"
pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=[REGISTRATION, LOCAL_OVERLAY])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sharing(site: Site, way: str) -> Iterator[Site]:
    """Give a builder that shares the host's store in one of the ways."""
    open_daemon(site)
    site.configure(store="overlay", store_validity=way)
    site.tool("init")
    assert f"shared by {way}" in site.status()[1]["message"]
    yield site
    site.tool("uninstall", "--purge")
    assert not site.file(ROOTS).exists()
    # The next builder is to build the same anew.
    site.machine.run("nix-collect-garbage")


@pytest.fixture(autouse=True)
def clean(sharing: Site) -> Iterator[None]:
    """See after each test that either side holds what its Nix has registered."""
    yield
    assert_clean(sharing)


def test_an_input_made_a_second_ago_with_references_is_shared_and_not_copied(sharing: Site) -> None:
    needed = make(sharing, "needed", "needed")
    path = make(sharing, "input", "input", needed)
    time.sleep(1)

    output, told = build(sharing, "fresh", path)

    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout == f"input {needed}\n{path}\n"
    assert_verified(sharing, output, path)
    assert not {path.rpartition("/")[2], needed.rpartition("/")[2]} & own(sharing)


def test_an_input_that_was_asked_for_in_vain_before_is_seen(sharing: Site) -> None:
    # given: the guest has looked the very name up
    expression = (
        'derivation { name = "asked-for"; system = builtins.currentSystem; builder = "/bin/sh"; '
        'args = [ "-c" "/bin/mkdir $out; echo late > $out/text; exit $?" ]; }'
    )
    path = json.loads(
        sharing.machine.run(
            "nix-instantiate", "--eval", "--strict", "--json", "--expr", f"({expression}).outPath"
        ).stdout
    )
    assert sharing.tool("shell", "/bin/ls", path, check=False).rc != 0
    # when
    assert sharing.machine.run("nix-build", "--no-out-link", "--expr", expression).stdout.strip() == path
    time.sleep(1)
    # then
    output, told = build(sharing, "after-all", path)
    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout.startswith("late\n")


def test_an_input_that_was_copied_before_anybody_could_tell_is_as_good(sharing: Site) -> None:
    path = make(sharing, "twice", "twice")
    output, _ = build(sharing, "first", path)
    again, told = build(sharing, "second", path)
    assert "copying 0 paths" in told
    assert_verified(sharing, output, again)


def test_an_input_that_the_guest_has_made_itself_stays_its_own(sharing: Site) -> None:
    # given: an output, which either side holds
    needed = make(sharing, "for-its-own", "needed")
    time.sleep(1)
    path, _ = build(sharing, "its-own", needed)
    assert path.rpartition("/")[2] in own(sharing)
    # when
    output, told = build(sharing, "of-its-own", path)
    # then
    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout == f"needed\n{needed}\n{path}\n"
    assert_verified(sharing, output, path, needed)
    # and when the host has it no more, it gets it back without a build
    sharing.machine.run("nix-collect-garbage")
    assert sharing.machine.run("test", "-d", path, check=False).rc != 0
    time.sleep(1)
    assert path.rpartition("/")[2] in own(sharing)
    assert build(sharing, "its-own", needed)[0] == path
    assert_verified(sharing, path, needed)


def test_a_path_that_is_deleted_and_made_anew_on_the_host_is_the_new_one(sharing: Site) -> None:
    path = make(sharing, "again", "again")
    time.sleep(1)
    sharing.tool("shell", "/bin/cat", f"{path}/text")

    sharing.machine.run("nix-store", "--delete", path)
    time.sleep(1)
    assert sharing.tool("shell", NIX, "--check-validity", path, check=False).rc != 0
    assert sharing.tool("shell", "/bin/ls", f"{path}/text", check=False).rc != 0
    assert make(sharing, "again", "again") == path
    time.sleep(1)

    output, told = build(sharing, "anew", path)
    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout == f"again\n{path}\n"


def test_what_the_guest_s_own_paths_need_survives_a_collection_on_the_host(sharing: Site) -> None:
    path = make(sharing, "kept", "kept")
    time.sleep(1)
    output, _ = build(sharing, "keeping", path)
    until(sharing, f"test -L {ROOTS}/{path.rpartition('/')[2]}")

    sharing.machine.run("nix-collect-garbage")

    assert sharing.machine.run("test", "-d", path, check=False).rc == 0
    assert sharing.machine.run("test", "-e", output, check=False).rc != 0
    assert f"kept\n{path}" in sharing.tool("shell", "/bin/cat", f"{output}/text").stdout
    assert_clean(sharing)
    # and when the guest needs it no more, it is given back
    sharing.tool("gc")
    until(sharing, f"! test -L {ROOTS}/{path.rpartition('/')[2]}")
    sharing.machine.run("nix-collect-garbage")
    assert sharing.machine.run("test", "-d", path, check=False).rc != 0


@pytest.mark.parametrize("collector", ["host", "guest"])
def test_a_collection_during_a_build_takes_nothing_from_it(sharing: Site, collector: str) -> None:
    path = make(sharing, f"used-{collector}", "used")
    time.sleep(1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(build, sharing, f"long-{collector}", path, before="/bin/sleep 4;")
        until(sharing, "pgrep -x sleep")
        if collector == "host":
            sharing.machine.run("nix-collect-garbage")
        else:
            sharing.tool("gc")
        output, told = running.result()

    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout == f"used\n{path}\n"
    assert_verified(sharing, output)


def test_a_collection_on_the_host_takes_nothing_from_a_build_that_was_begun_in_the_guest(sharing: Site) -> None:
    # given: what the build needs is named neither by its derivation, nor by its processes
    needed = (
        'derivation { name = "needed-late"; system = "x86_64-linux"; builder = "/bin/sh"; '
        'args = [ "-c" "/bin/mkdir $out; echo late > $out/text; exit $?" ]; }'
    )
    expression = (
        'derivation { name = "late"; system = "x86_64-darwin"; builder = "/bin/sh"; args = [ "-c" ". $scriptPath" ]; '
        f'passAsFile = [ "script" ]; script = "/bin/sleep 6; /bin/cat ${{{needed}}}/text > $out; exit $?"; }}'
    )
    path = sharing.machine.run("nix-build", "--no-out-link", "--expr", needed).stdout.strip()
    kept = f"{ROOTS}/running/{path.rpartition('/')[2]}"
    time.sleep(1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(guest, sharing, "--no-out-link", "--expr", expression, program="nix-build")
        until(sharing, "pgrep -x sleep")
        until(sharing, f"test -L {kept}")
        # when
        sharing.machine.run("nix-store", "--gc")
        # then
        told = running.result()
    assert sharing.machine.run("test", "-d", path, check=False).rc == 0, told
    output = next(word for word in told.split() if word.endswith("-late"))
    assert sharing.tool("shell", "/bin/cat", output).stdout == "late\n", told
    # and when nothing uses it any more, it is given back
    until(sharing, f"! test -L {kept}")
    sharing.tool("gc")
    sharing.machine.run("nix-store", "--gc")
    assert sharing.machine.run("test", "-d", path, check=False).rc != 0


def test_gc_frees_what_is_dead_and_leaves_the_host_s_paths(sharing: Site, way: str) -> None:
    path = make(sharing, "stays", "stays")
    time.sleep(1)
    build(sharing, "dead", path)
    sharing.machine.run("sh", "-c", "find /nix/store -maxdepth 1 | sort > /root/before")

    answer = json.loads(sharing.tool("gc", "--json").stdout)

    assert answer["paths"] > 0
    sharing.machine.run("sh", "-c", "find /nix/store -maxdepth 1 | sort | cmp - /root/before")
    assert not {name for name in own(sharing) if name.endswith("-dead")}
    # It was told of each of the host's paths, or of none that it has not asked for.
    assert (registered(sharing, STATE) >= registered(sharing, "")) is (way == REGISTRATION)
    _, told = build(sharing, "afterwards", path)
    assert "copying 0 paths" in told
    assert json.loads(sharing.tool("gc", "--json", "--max-age", "1h").stdout)["paths"] == 0


def registered(site: Site, state: str) -> set[str]:
    """List what stands in the database of the store below ``state``, whatever its Nix would say by way of another."""
    script = """if True:
        import pathlib, sys
        from darlingbuilder.adapters import storedb
        with storedb.opened(pathlib.Path(sys.argv[1])) as database:
            print(*database.numbers().values(), sep="\\n")
    """
    database = f"{state}/nix/var/nix/db/db.sqlite"
    valid = site.machine.run("/opt/darlingbuilder/bin/python", "-c", script, database).stdout.split()
    return {path for path in valid if not path.endswith(".drv")}


def test_fifty_builds_whose_inputs_the_host_is_making(sharing: Site) -> None:
    inputs = [
        f'(derivation {{ name = "in-{n}"; system = builtins.currentSystem; builder = "/bin/sh"; '
        f'args = [ "-c" "/bin/mkdir $out; echo {n} > $out/text; exit $?" ]; }})'
        for n in range(50)
    ]
    outputs = " ".join(f"({expression_of(f'of-{n}', one)})" for n, one in enumerate(inputs))

    done = sharing.machine.run(
        "nix-build", "--no-out-link", "--max-jobs", "4", "--expr", f"[ {outputs} ]",
        timeout=240, check=False, env={"NIX_REMOTE": "daemon"},
    )  # fmt: skip

    assert done.rc == 0, done.stderr[-4000:] + sharing.machine.journal(UNIT)
    paths = done.stdout.split()
    assert [sharing.machine.run("head", "-1", f"{path}/text").stdout for path in paths] == [
        f"{n}\n" for n in range(50)
    ]
    assert_verified(sharing, *paths)


def test_nobody_in_the_container_is_root_while_it_builds(sharing: Site) -> None:
    path = make(sharing, "for-all-to-see", "seen")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(build, sharing, "unprivileged", path, before="/bin/sleep 2;")
        until(sharing, "pgrep -x sleep")
        assert users_of_container(sharing, "sleep") == {USER}
        output, _ = running.result()
    assert_verified(sharing, output)


@pytest.mark.parametrize("how", ["restart", "reboot"])
def test_afterwards_it_goes_on(sharing: Site, how: str) -> None:
    path = make(sharing, f"before-{how}", "before")
    output, _ = build(sharing, f"kept-over-{how}", path)
    if how == "restart":
        sharing.tool("restart")
    else:
        sharing.machine.reboot()
        until(sharing, f"systemctl is-active {UNIT}", seconds=30)

    _, told = build(sharing, f"after-{how}", path)

    assert "copying 0 paths" in told
    assert f"before\n{path}" in sharing.tool("shell", "/bin/cat", f"{output}/text").stdout


def test_a_collection_that_somebody_runs_in_the_guest_itself_is_healed_by_a_start(sharing: Site) -> None:
    path = make(sharing, "hidden", "hidden")
    time.sleep(1)
    guest(sharing, "--gc")
    assert sharing.machine.run("cat", f"{path}/text").stdout == "hidden\n"

    sharing.tool("restart")

    output, told = build(sharing, "seen-again", path)
    assert "copying 0 paths" in told
    assert sharing.machine.run("cat", f"{output}/text").stdout == f"hidden\n{path}\n"


def test_below_min_free_garbage_is_collected_without_being_asked(sharing: Site) -> None:
    path = make(sharing, "no-room", "room")
    time.sleep(1)
    output, _ = build(sharing, "filling", path)
    name = output.rpartition("/")[2]
    assert name in own(sharing)

    # given: a disk that is always too full
    sharing.set(min_free="1000T", max_free="1001T")
    sharing.tool("init")

    until(sharing, f"! test -e {STATE}/nix/store/{name}", seconds=15)
    assert sharing.machine.run("cat", f"{path}/text").stdout == "room\n"
    sharing.set(min_free="0", max_free="0")
    sharing.tool("init")
    assert_clean(sharing)
