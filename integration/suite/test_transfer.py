"""Paths carried into the guest's store and back, by either Nix of the host, and what ``status`` says of them."""

import os
import random

import pytest

from integration.suite.site import STATE, Site
from integration.suite.storage import answer, built_in_guest, interrupted, path_of, tree_on_host

# Where an interruption falls is a matter of luck; this is what the luck was.
SEED = int(os.environ.get("STORE_VERBS_SEED", "4"))

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")


def test_a_pushed_path_is_an_input_that_nobody_copies(builder: Site) -> None:
    path = tree_on_host(builder, "input", files=50, kilobytes=10)
    pushed = answer(builder.tool("push", path, "--json"))
    assert (pushed["copied"], pushed["present"]) == ([path], 0)
    assert pushed["bytes"] > 500 * 1024

    expression = (
        f'derivation {{ name = "uses-input"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'args = [ "-c" "echo {path}/* > $out; exit 0" ]; input = builtins.storePath {path}; }}'
    )
    completed = builder.build(expression)

    assert "copying 0 paths" in completed.stderr
    owners = builder.machine.run("find", f"{STATE}{path}", "-printf", "%u\n").stdout.split()
    assert set(owners) == {"darlingbuilder"}
    assert answer(builder.tool("push", path, "--json"))["copied"] == []


def test_a_link_and_what_it_needs_are_pushed(builder: Site) -> None:
    needed = tree_on_host(builder, "needed", files=1, kilobytes=1)
    expression = (
        f'derivation {{ name = "needing"; system = "x86_64-linux"; builder = "/bin/sh"; '
        f'args = [ "-c" "echo ${{builtins.storePath {needed}}} > $out" ]; }}'
    )
    builder.machine.run("nix-build", "--expr", expression, "--out-link", "/root/result", env={"NIX_REMOTE": "daemon"})

    completed = builder.tool("push", "/root/result")

    assert "Copied 2 path(s)" in completed.stdout
    assert builder.file(f"{STATE}{needed}").exists()


@pytest.mark.parametrize("word", ["/etc/passwd", "./nothing-there"])
def test_what_is_no_store_path_is_a_usage_error(builder: Site, word: str) -> None:
    completed = builder.tool("push", word, check=False)
    assert completed.rc == 2
    assert "./result" in completed.stderr


def test_what_the_guest_alone_has_is_pulled_and_verifies(builder: Site) -> None:
    path = path_of(built_in_guest(builder, "pulled"))
    assert not builder.file(path).exists()

    assert answer(builder.tool("pull", path, "--json"))["copied"] == [path]

    assert builder.file(path).read_text() == "built\n"
    builder.machine.run("nix-store", "--verify-path", path)


def test_what_was_changed_in_the_guest_is_not_pulled(builder: Site) -> None:
    path = path_of(built_in_guest(builder, "changed"))
    builder.file(f"{STATE}{path}").chmod(0o644)
    builder.file(f"{STATE}{path}").write_text("evil\n")

    completed = builder.tool("pull", path, check=False)

    assert completed.rc == 1
    assert "has changed" in completed.stderr
    assert not builder.file(path).exists()
    assert builder.machine.run("nix-store", "--check-validity", path, check=False).rc != 0


def test_a_link_in_the_place_of_a_path_leads_root_nowhere(builder: Site) -> None:
    secret = builder.file("/root/secret")
    secret.write_text("root's alone\n")
    secret.chmod(0o600)
    path = path_of(built_in_guest(builder, "linked"))
    builder.file(f"{STATE}{path}").unlink()
    builder.machine.run("ln", "-s", "/root/secret", f"{STATE}{path}", user="darlingbuilder")

    assert builder.tool("pull", path, check=False).rc == 1

    assert not builder.file(path).exists()


def test_a_push_that_is_killed_leaves_no_half_path_and_can_be_repeated(builder: Site) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    for attempt in range(4):
        path = tree_on_host(builder, f"killed{attempt}", files=400, kilobytes=40)
        interrupted(builder, "push", path, seconds=luck.uniform(0.2, 0.7))
        # What was told to import may still be about to end.
        completed = builder.tool("push", path)
        assert "path(s)" in completed.stdout
        verified = builder.machine.run(
            "nix-store", "--store", f"local?root={STATE}", "--verify-path", path, user="darlingbuilder"
        )
        assert verified.rc == 0
    assert not list(builder.file(STATE).glob("tmp*"))


def test_status_says_how_much_the_store_takes(builder: Site) -> None:
    before = builder.status()[1]["store"]
    path = tree_on_host(builder, "counted", files=10, kilobytes=100)
    builder.tool("push", path)

    after = builder.status()[1]["store"]

    assert after["own"] - before["own"] >= 1000 * 1024
    assert after["shared"] == 0
    assert after["free"] > 0
