"""The verbs around the store, on a machine: push, pull, reset, snapshot, ephemeral."""

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from integration.machine.commands import Completed
from integration.suite.site import PREFIX, STATE, Site
from integration.suite.storage import PLANTED, built_in_guest, path_of, tree_on_host

# Where an interruption falls is a matter of luck; this is what the luck was.
SEED = int(os.environ.get("STORE_VERBS_SEED", "4"))

pytestmark = pytest.mark.parametrize("machine", ["trixie"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def used(builder: Site) -> Iterator[Site]:
    """A builder; whatever a test has done to it, it is healthy afterwards."""
    yield builder
    builder.configure().tool("init")
    builder.assert_healthy()


def answer(completed: Completed) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(completed.stdout)
    return decoded


def interrupted(site: Site, *words: str, seconds: float) -> int:
    """Run darlingbuilder, and kill it as a crash would after so many seconds; give its exit status."""
    return site.machine.run(
        "timeout", "--signal=KILL", str(seconds), "darlingbuilder", *words, check=False, timeout=180
    ).rc


# -- push and pull -----------------------------------------------------------------------------------


def test_a_pushed_path_is_an_input_that_nobody_copies(used: Site) -> None:
    path = tree_on_host(used, "input", files=50, kilobytes=10)
    pushed = answer(used.tool("push", path, "--json"))
    assert (pushed["copied"], pushed["present"]) == ([path], 0)
    assert pushed["bytes"] > 500 * 1024

    expression = (
        f'derivation {{ name = "uses-input"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'args = [ "-c" "echo {path}/* > $out; exit 0" ]; input = builtins.storePath {path}; }}'
    )
    completed = used.build(expression)

    assert "copying 0 paths" in completed.stderr
    owners = used.machine.run("find", f"{STATE}{path}", "-printf", "%u\n").stdout.split()
    assert set(owners) == {"darlingbuilder"}
    assert answer(used.tool("push", path, "--json"))["copied"] == []


def test_a_link_and_what_it_needs_are_pushed(used: Site) -> None:
    needed = tree_on_host(used, "needed", files=1, kilobytes=1)
    expression = (
        f'derivation {{ name = "needing"; system = "x86_64-linux"; builder = "/bin/sh"; '
        f'args = [ "-c" "echo ${{builtins.storePath {needed}}} > $out" ]; }}'
    )
    used.machine.run("nix-build", "--expr", expression, "--out-link", "/root/result", env={"NIX_REMOTE": "daemon"})

    completed = used.tool("push", "/root/result")

    assert "Copied 2 path(s)" in completed.stdout
    assert used.file(f"{STATE}{needed}").exists()


@pytest.mark.parametrize("word", ["/etc/passwd", "./nothing-there"])
def test_what_is_no_store_path_is_a_usage_error(used: Site, word: str) -> None:
    completed = used.tool("push", word, check=False)
    assert completed.rc == 2
    assert "./result" in completed.stderr


def test_what_the_guest_alone_has_is_pulled_and_verifies(used: Site) -> None:
    path = path_of(built_in_guest(used, "pulled"))
    assert not used.file(path).exists()

    assert answer(used.tool("pull", path, "--json"))["copied"] == [path]

    assert used.file(path).read_text() == "built\n"
    used.machine.run("nix-store", "--verify-path", path)


def test_what_was_changed_in_the_guest_is_not_pulled(used: Site) -> None:
    path = path_of(built_in_guest(used, "changed"))
    used.file(f"{STATE}{path}").chmod(0o644)
    used.file(f"{STATE}{path}").write_text("evil\n")

    completed = used.tool("pull", path, check=False)

    assert completed.rc == 1
    assert "has changed" in completed.stderr
    assert not used.file(path).exists()
    assert used.machine.run("nix-store", "--check-validity", path, check=False).rc != 0


def test_a_link_in_the_place_of_a_path_leads_root_nowhere(used: Site) -> None:
    secret = used.file("/root/secret")
    secret.write_text("root's alone\n")
    secret.chmod(0o600)
    path = path_of(built_in_guest(used, "linked"))
    used.file(f"{STATE}{path}").unlink()
    used.machine.run("ln", "-s", "/root/secret", f"{STATE}{path}", user="darlingbuilder")

    assert used.tool("pull", path, check=False).rc == 1

    assert not used.file(path).exists()


def test_a_push_that_is_killed_leaves_no_half_path_and_can_be_repeated(used: Site) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    for attempt in range(4):
        path = tree_on_host(used, f"killed{attempt}", files=400, kilobytes=40)
        interrupted(used, "push", path, seconds=luck.uniform(0.2, 0.7))
        # What was told to import may still be about to end.
        completed = used.tool("push", path)
        assert "path(s)" in completed.stdout
        verified = used.machine.run(
            "nix-store", "--store", f"local?root={STATE}", "--verify-path", path, user="darlingbuilder"
        )
        assert verified.rc == 0
    assert not list(used.file(STATE).glob("tmp*"))


# -- status ------------------------------------------------------------------------------------------


def test_status_says_how_much_the_store_takes(used: Site) -> None:
    before = used.status()[1]["store"]
    path = tree_on_host(used, "counted", files=10, kilobytes=100)
    used.tool("push", path)

    after = used.status()[1]["store"]

    assert after["own"] - before["own"] >= 1000 * 1024
    assert after["shared"] == 0
    assert after["free"] > 0


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


def test_a_reset_that_is_killed_is_ended_by_init_or_repeated(used: Site) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    for attempt in range(6):
        built_in_guest(used, f"killed-{attempt}")
        interrupted(used, "reset", "--yes", seconds=luck.uniform(0.3, 5.0))
        used.tool(*(("init",) if attempt % 2 else ("reset", "--yes")))
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
        used.tool("init")

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
