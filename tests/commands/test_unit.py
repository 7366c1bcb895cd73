"""``start``, ``stop`` and ``restart``: the service of a builder that there is."""

from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder import cli
from darlingbuilder.commands import unit
from darlingbuilder.core.errors import BuilderError, ExitCode, SystemdError
from darlingbuilder.core.paths import UNIT
from tests.commands.builder import called, machine, make
from tests.fakes.world import FakeWorld


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


def run(world: FakeWorld, verb: str) -> ExitCode:
    [chosen] = [one for one in cli.VERBS if one.name == verb]
    return unit.run(called(world), Namespace(verb=chosen))


def state(world: FakeWorld) -> str:
    return world.systemd.unit(UNIT).activity.value


def test_a_service_is_stopped_and_started(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world)

    assert (run(world, "stop"), state(world)) == (ExitCode.OK, "inactive")
    assert (run(world, "start"), state(world)) == (ExitCode.OK, "active")

    assert capsys.readouterr().out == f"{UNIT} is stopped.\n{UNIT} is running.\n"


@pytest.mark.parametrize(("verb", "expected"), [("start", "active"), ("stop", "inactive")])
def test_what_is_so_already_is_no_error(world: FakeWorld, verb: str, expected: str) -> None:
    make(world)
    for _ in range(2):
        assert run(world, verb) is ExitCode.OK
    assert state(world) == expected


@pytest.mark.parametrize("before", ["start", "stop"])
def test_a_restart_gives_a_new_process(world: FakeWorld, before: str) -> None:
    make(world)
    run(world, before)
    pid = world.systemd.unit(UNIT).main_pid

    run(world, "restart")

    assert state(world) == "active"
    assert world.systemd.unit(UNIT).main_pid != pid


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_without_a_builder_there_is_nothing_to_start_or_stop(world: FakeWorld, verb: str) -> None:
    with pytest.raises(BuilderError, match="there is no builder in /var/lib/darling-builder") as caught:
        run(world, verb)
    assert caught.value.hint == "make one: darlingbuilder init"


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_one_that_does_not_start_is_an_error(world: FakeWorld, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    make(world)
    run(world, "stop")
    capsys.readouterr()
    world.systemd.broken.add(UNIT)
    with pytest.raises(SystemdError, match=f"start of {UNIT} failed"):
        run(world, verb)
    assert capsys.readouterr().out == ""
