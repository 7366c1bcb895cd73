"""``reset``: it asks, it begins anew, and it leaves a builder that runs."""

import io
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.commands import reset
from darlingbuilder.core import lock
from darlingbuilder.core.errors import BuilderError, ExitCode, LockedError, UsageError
from tests.commands.builder import called, machine, make
from tests.fakes.world import FakeWorld
from tests.names import LOCK, UNIT

PLANTED = Path("/private/planted")


class Terminal(io.StringIO):
    """Somebody at a terminal who types what it holds."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


@pytest.fixture
def used(world: FakeWorld) -> FakeWorld:
    make(world)
    world.darling.files().write(PLANTED, b"by a build\n")
    return world


def run(world: FakeWorld, *, yes: bool = True, keep_store: bool = False) -> ExitCode:
    return reset.run(called(world), Namespace(yes=yes, keep_store=keep_store))


def is_new(world: FakeWorld) -> bool:
    return world.darling.files().read(PLANTED) is None


@pytest.mark.parametrize(("keep_store", "said"), [(True, "the store was kept"), (False, "its store holds Nix alone")])
def test_the_builder_is_a_new_one_and_runs(
    used: FakeWorld, capsys: pytest.CaptureFixture[str], said: str, *, keep_store: bool
) -> None:
    before = used.systemd.unit(UNIT).main_pid

    assert run(used, keep_store=keep_store) is ExitCode.OK

    assert is_new(used)
    state = used.systemd.unit(UNIT)
    assert (state.activity.value, state.main_pid != before) == ("active", True)
    assert said in capsys.readouterr().out


def test_where_nobody_can_be_asked_it_needs_a_yes(used: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="nobody is there to answer") as caught:
        run(used, yes=False)
    assert caught.value.hint == "to mean it: reset --yes"
    assert not is_new(used)


@pytest.mark.parametrize("answer", ["\n", "n\n", "", "yesterday\n"])
def test_whoever_does_not_say_yes_keeps_the_builder(
    used: FakeWorld, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with pytest.raises(BuilderError, match="not confirmed; nothing was changed"):
        run(used, yes=False)
    assert not is_new(used)


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_whoever_says_yes_means_it(used: FakeWorld, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(used, yes=False) is ExitCode.OK
    assert is_new(used)


def test_while_another_is_at_work_nothing_goes(used: FakeWorld) -> None:
    with lock.held(used.host.real(LOCK), purpose="push", seconds=0), pytest.raises(LockedError, match="push"):
        run(used)
    assert not is_new(used)


def test_without_a_builder_there_is_nothing_to_begin_anew(world: FakeWorld) -> None:
    with pytest.raises(BuilderError, match="there is no builder"):
        run(world)
