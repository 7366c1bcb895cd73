"""The verbs around the store, on a machine: reset, snapshot, ephemeral."""

import json
import os
import random
from collections.abc import Iterator

import pytest

from integration.suite.site import PREFIX, STATE, Site
from integration.suite.storage import PLANTED, built_in_guest, heal, interrupted, path_of

# Where an interruption falls is a matter of luck; this is what the luck was.
SEED = int(os.environ.get("STORE_VERBS_SEED", "4"))

# Directories deeper than Python goes down and than descriptors reach, and files that no memory holds.
HOSTILE = (
    "p=dd/dd/dd/dd/dd; p=$p/$p/$p/$p/$p/$p/$p/$p; cd /private; "
    "i=0; while [ $i -lt 30 ]; do /bin/mkdir -p $p && cd $p; i=$((i+1)); done; "
    "cd /nix/var/nix/profiles; /bin/rm default; /bin/ln -s default-7-link default; "
    "/bin/ln -s /nix/store/11111111111111111111111111111111-nix-2$(printf '\\\\377') default-7-link; "
    "for file in /nix/var/nix/db/db.sqlite /.init.pid; do "
    "/bin/dd if=/dev/zero of=$file bs=1 count=1 seek=1000000000000 conv=notrunc; done"
)

pytestmark = pytest.mark.parametrize("machine", ["trixie"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def used(builder: Site) -> Iterator[Site]:
    """A builder; whatever a test has done to it, it is healthy afterwards."""
    yield builder
    builder.configure().tool("init")
    builder.assert_healthy()


# -- reset and snapshot ------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_store", [True, False])
def test_a_reset_makes_a_builder_without_what_builds_have_left(used: Site, *, keep_store: bool) -> None:
    key = used.file(f"{STATE}/keys/ssh_host_ed25519_key").read_bytes()
    path = path_of(built_in_guest(used, f"before-{keep_store}"))
    assert used.file(PLANTED).exists()
    assert used.tool("reset", check=False).rc == 2

    used.tool("reset", "--yes", *(("--keep-store",) if keep_store else ()))

    assert not used.file(PLANTED).exists()
    assert used.file(f"{STATE}{path}").exists() is keep_store
    assert used.file(f"{STATE}/keys/ssh_host_ed25519_key").read_bytes() == key
    used.assert_healthy()


@pytest.mark.parametrize(("ephemeral", "words"), [(False, ("reset", "--yes")), (True, ("restart",))])
def test_what_a_hostile_build_has_left_stops_nothing_that_begins_anew(
    used: Site, words: tuple[str, ...], *, ephemeral: bool
) -> None:
    used.set(ephemeral=ephemeral).tool("init")
    built_in_guest(used, f"hostile-{words[0]}", script=f"{HOSTILE}; echo built > $out")
    assert used.file(f"{PREFIX}/private/dd").exists()
    # The answer is JSON, whatever it says.
    assert used.status()[1]["nix"]["guest"] is None

    used.tool(*words)

    assert not used.file(f"{PREFIX}/private/dd").exists()
    used.assert_healthy()
    used.configure().tool("init")


def test_a_reset_that_is_killed_is_ended_by_init_or_repeated(used: Site) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    for attempt in range(6):
        built_in_guest(used, f"killed-{attempt}")
        interrupted(used, "reset", "--yes", seconds=luck.uniform(0.3, 5.0))
        heal(used, *(("init",) if attempt % 2 else ("reset", "--yes")))
        used.assert_healthy(build=attempt == 5)


def test_a_snapshot_brings_back_what_was(used: Site) -> None:
    old = path_of(built_in_guest(used, "old"))
    make_special_files(used)
    before = special_files(used)
    used.tool("snapshot", "create", "one")
    used.assert_healthy(build=False)
    new = path_of(built_in_guest(used, "new"))
    used.machine.run("rm", "-r", f"{PREFIX}/private/special")

    used.tool("snapshot", "restore", "one")

    assert used.file(f"{STATE}{old}").exists()
    assert not used.file(f"{STATE}{new}").exists()
    assert special_files(used) == before
    used.assert_healthy()
    [listed] = json.loads(used.tool("snapshot", "list", "--json").stdout)
    assert (listed["name"], listed["size"] > 2**20) == ("one", True)


def make_special_files(site: Site) -> None:
    script = f"""
import os, socket
top = "{PREFIX}/private/special"
os.mkdir(top)
os.chdir(top)
open("file", "w").write("x")
os.link("file", "hard")
os.symlink("/etc/passwd", "link")
os.mknod("whiteout", 0o020000, 0)
socket.socket(socket.AF_UNIX).bind("sock")
os.chown("file", 1, 2)
os.chmod("file", 0o4751)
os.setxattr("file", "user.test", b"value")
os.setxattr(top, "trusted.overlay.opaque", b"y")
"""
    site.tool("stop")
    site.machine.run("python3", "-c", script)
    site.tool("start")


def special_files(site: Site) -> str:
    script = f"""
import os
top = "{PREFIX}/private/special"
for name in sorted(os.listdir(top)):
    path = os.path.join(top, name)
    one = os.lstat(path)
    print(name, oct(one.st_mode), one.st_uid, one.st_gid, one.st_nlink, one.st_rdev)
print(os.getxattr(top + "/file", "user.test"), os.getxattr(top, "trusted.overlay.opaque"), os.readlink(top + "/link"))
"""
    return site.machine.run("python3", "-c", script).stdout


def test_a_restoration_that_is_killed_ends_in_the_old_or_the_new(used: Site) -> None:
    luck, ends = random.Random(SEED), set()  # noqa: S311 - no secret
    for attempt in range(6):
        new = path_of(built_in_guest(used, f"since-{attempt}"))
        used.file(f"{PREFIX}/private").joinpath("since").write_text("x")

        interrupted(used, "snapshot", "restore", "one", seconds=luck.uniform(0.3, 4.0))
        heal(used, "init")

        prefix_is_old = not used.file(f"{PREFIX}/private/since").exists()
        store_is_old = not used.file(f"{STATE}{new}").exists()
        assert prefix_is_old == store_is_old
        ends.add(store_is_old)
        used.assert_healthy(build=False)
    used.assert_healthy()


def test_a_snapshot_stays_through_an_uninstall_and_goes_with_a_purge(used: Site) -> None:
    completed = used.tool("uninstall")
    assert f"{STATE}/snapshots" in completed.stdout
    used.tool("init")
    used.tool("snapshot", "restore", "one")
    used.assert_healthy(build=False)
    used.tool("snapshot", "delete", "one")
    assert not used.file(f"{STATE}/snapshots").exists()


# -- ephemeral ---------------------------------------------------------------------------------------


def test_an_ephemeral_builder_forgets_what_builds_have_left_at_every_start(used: Site) -> None:
    used.set(ephemeral=True).tool("init")
    # Neither the tarball nor a network is needed from here on.
    key = used.file(f"{STATE}/keys/ssh_host_ed25519_key").read_bytes()
    for attempt in range(3):
        path = path_of(built_in_guest(used, f"forgotten-{attempt}"))
        assert used.file(PLANTED).exists()

        used.tool("restart")

        assert not used.file(PLANTED).exists()
        assert not used.file(f"{STATE}{path}").exists()
        used.assert_healthy()
    assert used.file(f"{STATE}/keys/ssh_host_ed25519_key").read_bytes() == key
    used.configure().tool("init")
    assert not used.file(f"{STATE}/pristine").exists()
