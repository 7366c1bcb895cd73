"""``push`` and ``pull``: what is missing is copied, what is there is not, and the words of a call must make sense."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.commands import transfer
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode, NixError, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import below
from darlingbuilder.steps.transfer import store_paths
from darlingbuilder.verbs import VERBS
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen
from tests.fakes.nix import add
from tests.fakes.world import FakeWorld

HELLO = "/nix/store/11111111111111111111111111111111-hello"
NEEDED = "/nix/store/22222222222222222222222222222222-needed"
UNKNOWN = "/nix/store/00000000000000000000000000000000-unknown"
FILES = {"share/text": "text\n"}


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


@pytest.fixture
def stocked(world: FakeWorld) -> FakeWorld:
    """Give a builder, and in the host's store two paths, one of which needs the other."""
    make(world)
    add(world.host.root, NEEDED, FILES)
    add(world.host.root, HELLO, FILES, (NEEDED,))
    return world


def guest(world: FakeWorld) -> Path:
    return world.host.real(Paths(Settings()).state)


def run(world: FakeWorld, verb: str, *paths: str, as_json: bool = False, **flags: str) -> ExitCode:
    [named] = [one for one in VERBS if one.name == verb]
    words = Namespace(verb=named, paths=list(paths), json=as_json, quiet=False)
    return transfer.run(called(world, chosen(**flags)), words)


def test_a_push_brings_what_the_path_needs(stocked: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stocked, "push", HELLO) is ExitCode.OK

    assert stocked.nix.has(guest(stocked), HELLO)
    assert (below(guest(stocked), NEEDED) / "share/text").read_text() == "text\n"
    assert capsys.readouterr().out.startswith("Copied 2 path(s), ")


def test_what_is_there_is_not_copied_again(stocked: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(stocked, "push", NEEDED)
    capsys.readouterr()

    run(stocked, "push", HELLO, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["copied"], answer["present"]) == ([HELLO], 1)
    assert answer["bytes"] > 0

    run(stocked, "push", HELLO)
    assert capsys.readouterr().out == "Nothing to copy: 2 path(s) were there already.\n"


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_where_builds_are_off_nothing_is_carried_into_a_store_that_is_left_over(
    stocked: FakeWorld, verb: str
) -> None:
    make(stocked, chosen(store="symlink"))

    with pytest.raises(ConfigError, match=rf"nothing to {verb}.*has no Nix of its own"):
        run(stocked, verb, HELLO, store="symlink")

    assert not stocked.nix.has(guest(stocked), HELLO)


def test_where_the_guest_sees_the_host_s_store_nothing_is_pushed(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    make(world, chosen(store="overlay"))
    add(world.host.root, HELLO, FILES)

    run(world, "push", HELLO, store="overlay")
    assert capsys.readouterr().out == "Nothing to copy: the guest sees this machine's store, and 1 path(s) in it.\n"

    run(world, "push", HELLO, as_json=True, store="overlay")
    answer = json.loads(capsys.readouterr().out)
    assert (answer["copied"], answer["present"], answer["bytes"]) == ([], 1, 0)
    assert not below(guest(world), HELLO).exists()


def test_a_pull_brings_what_the_guest_alone_has(stocked: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(stocked, "push", NEEDED)
    mine = "/nix/store/33333333333333333333333333333333-built"
    add(guest(stocked), mine, {"out": "built\n"}, (NEEDED,))
    capsys.readouterr()

    run(stocked, "pull", mine, as_json=True)

    answer = json.loads(capsys.readouterr().out)
    assert (answer["copied"], answer["present"]) == ([mine], 1)
    assert (below(stocked.host.root, mine) / "out").read_text() == "built\n"


def test_content_that_the_guest_has_changed_is_not_pulled(stocked: FakeWorld) -> None:
    run(stocked, "push", HELLO)
    mine = add(guest(stocked), "/nix/store/33333333333333333333333333333333-built", {"out": "built\n"})
    (below(guest(stocked), mine) / "out").write_text("changed\n")

    with pytest.raises(NixError, match="hash has changed"):
        run(stocked, "pull", mine)

    assert not below(stocked.host.root, mine).exists()


@pytest.mark.parametrize(("verb", "remedy"), [("push", "build or fetch it"), ("pull", "guest's store does not hold")])
def test_a_path_that_nobody_has_is_an_error_with_its_remedy(stocked: FakeWorld, verb: str, remedy: str) -> None:
    with pytest.raises(NixError, match=UNKNOWN) as caught:
        run(stocked, verb, UNKNOWN)
    assert remedy in caught.value.hint


@pytest.mark.parametrize("word", ["/etc/passwd", "./nothing", "/nix/store", "/nix/store/short-hello", ""])
def test_what_is_no_store_path_is_a_usage_error(stocked: FakeWorld, word: str) -> None:
    with pytest.raises(UsageError, match="no store path") as caught:
        run(stocked, "push", word)
    assert "./result" in caught.value.hint


def test_links_lead_to_the_store_path_that_is_meant(stocked: FakeWorld) -> None:
    host = stocked.host
    host.write_link(Path("/home/result"), HELLO)
    host.write_link(Path("/home/other"), "result")
    host.write_link(Path("/home/inside"), f"{HELLO}/share/text")
    host.write_link(Path("/work"), "home")
    words = ["result", "./other", "/work/result", "inside", "result/share/text", f"{HELLO}/share"]

    assert store_paths(host, words, Path("/home")) == [HELLO]


def test_links_that_lead_in_a_circle_are_given_up(stocked: FakeWorld) -> None:
    stocked.host.write_link(Path("/home/a"), "b")
    stocked.host.write_link(Path("/home/b"), "a")
    with pytest.raises(UsageError, match="a is no store path"):
        store_paths(stocked.host, ["a"], Path("/home"))


def test_without_a_builder_there_is_nowhere_to_copy_to(world: FakeWorld) -> None:
    with pytest.raises(BuilderError, match="there is no builder"):
        run(world, "push", HELLO)
