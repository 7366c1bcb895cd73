"""``keys``: what it prints, what it refuses, and that one at a time is at work."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.commands import keys
from darlingbuilder.commands.context import Context
from darlingbuilder.core import keypair, lock, log
from darlingbuilder.core.errors import BuilderError, ExitCode, KeyFileError, LockedError, UsageError
from darlingbuilder.core.paths import Paths, next_of
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import seen
from tests.fakes.world import FakeWorld
from tests.names import KEYS_LOCK

PATHS = Paths(Settings())
SECRET = Path("/run/secrets/builder")


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield make(made)


def run(context: Context, words: str) -> ExitCode:
    arguments: Namespace = cli.parser().parse_args(["keys", *words.split()])
    return keys.run(context, arguments)


def kept(world: FakeWorld) -> Path:
    """Keep a secret that could be brought in."""
    world.host.create(SECRET, keypair.generate("vault"), mode=0o400, owner=ROOT)
    return SECRET


def changed(world: FakeWorld, before: dict[str, tuple[int, str]]) -> set[str]:
    """Name what was changed, but for the secret that was to be brought in."""
    return {path for path, _ in seen(world.host.root).items() ^ before.items() if not path.startswith("run/secrets")}


def test_both_keys_are_shown_with_their_fingerprints(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(called(world), "show") is ExitCode.OK
    printed = capsys.readouterr().out
    for path in (PATHS.key, PATHS.host_key):
        assert f"key, in use: {path}\n" in printed
        assert f"ssh-ed25519 {keypair.needed(world.host, path).fingerprint}\n" in printed
    assert printed.count("on the host and in the guest, 0.0 days old; whose: darlingbuilder") == 2


@pytest.mark.parametrize(("words", "kinds"), [("", ["user", "host"]), ("--host", ["host"]), ("--user", ["user"])])
def test_json_describes_each_key(
    world: FakeWorld, capsys: pytest.CaptureFixture[str], words: str, kinds: list[str]
) -> None:
    run(called(world), f"show --json {words}")
    shown = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in shown] == kinds
    for one in shown:
        assert (one["type"], one["on_host"], one["in_guest"], one["stage"]) == ("ssh-ed25519", True, True, "in use")
        assert one["error"] is None


def test_a_key_that_is_gone_is_shown_with_the_reason(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.host.remove(PATHS.key)
    assert run(called(world), "show --user") is ExitCode.OK
    assert "is absent\n  nowhere; whose: nobody" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "import",
        "import --user",
        "import --host --user /run/key",
        "rotate --user /run/key",
        "show --host /run/key",
        "show --copy",
        "rotate --copy",
    ],
)
def test_a_file_belongs_to_import_and_to_nothing_else(world: FakeWorld, words: str) -> None:
    with pytest.raises(UsageError):
        run(called(world), words)


def test_without_a_builder_there_are_no_keys() -> None:
    with machine() as bare, pytest.raises(BuilderError, match="no builder"):
        run(called(bare), "show")


def test_one_at_a_time_replaces_keys(world: FakeWorld) -> None:
    before = seen(world.host.root)
    with (
        lock.held(world.host.real(KEYS_LOCK), purpose="keys", seconds=0),
        pytest.raises(LockedError, match=r"darlingbuilder keys \(pid \d+\) is at work"),
    ):
        run(called(world), "rotate")
    world.host.remove(KEYS_LOCK)
    assert seen(world.host.root) == before


def test_a_key_of_ones_own_is_refused_and_nothing_is_changed(world: FakeWorld) -> None:
    world.host.write(PATHS.key, keypair.generate("me@here"), mode=0o600)
    with pytest.raises(KeyFileError, match="a key of your own"):
        run(called(world), "rotate --user")
    assert world.host.attributes(next_of(PATHS.key)) is None
    assert world.host.attributes(KEYS_LOCK) is None


@pytest.mark.parametrize("words", ["rotate", "rotate --user", "import --copy --user"])
def test_a_builder_that_does_not_answer_is_refused_with_the_remedy(world: FakeWorld, words: str) -> None:
    world.systemd.stop("darling-builder.service")
    before = seen(world.host.root)
    with pytest.raises(BuilderError, match=r"unit: darling-builder\.service is inactive") as caught:
        run(called(world), f"{words} {kept(world) if words.startswith('import') else ''}")
    assert "darlingbuilder start" in caught.value.hint
    assert changed(world, before) == set()


@pytest.mark.parametrize("words", ["rotate", "rotate --host --user"])
def test_where_one_key_is_refused_the_other_is_left_alone(world: FakeWorld, words: str) -> None:
    world.host.write(PATHS.host_key, keypair.generate("me@here"), mode=0o600)
    before = seen(world.host.root)
    with pytest.raises(KeyFileError, match=f"{PATHS.host_key} is a key of your own"):
        run(called(world), words)
    assert changed(world, before) == set()


def test_where_one_file_is_refused_the_other_is_not_brought_in(world: FakeWorld) -> None:
    before = seen(world.host.root)
    with pytest.raises(KeyFileError, match="none: is absent"):
        run(called(world), f"import --user {kept(world)} --host /run/secrets/none")
    assert changed(world, before) == set()


@pytest.fixture
def linked(world: FakeWorld) -> str:
    """A builder that uses a secret already; the words that bring in the same one."""
    world.host.remove(PATHS.key)
    world.host.write_link(PATHS.key, str(world.host.real(kept(world))))
    make(world)
    return f"import --user {SECRET}"


def test_a_key_that_is_in_use_already_changes_nothing(
    world: FakeWorld, linked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = seen(world.host.root)
    assert run(called(world), linked) is ExitCode.OK
    assert capsys.readouterr().out == "These keys are in use already; nothing was changed.\n"
    assert changed(world, before) == set()


def test_with_quiet_only_what_was_asked_for_is_printed(
    world: FakeWorld, linked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(verbose=False, quiet=True)
    try:
        run(called(world), linked)
        assert capsys.readouterr() == ("", "")
        run(called(world), f"{linked} --json")
        assert [one["kind"] for one in json.loads(capsys.readouterr().out)] == ["user"]
        run(called(world), "show --user")
        assert "user key, in use" in capsys.readouterr().out
    finally:
        log.configure(verbose=False, quiet=False)
