"""``start``, ``stop`` and ``restart``: the service of a builder that there is."""

import signal
from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import unit
from darlingbuilder.core.errors import BuilderError, ExitCode, SystemdError
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.draining import AT_ONCE
from darlingbuilder.verbs import VERBS
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld
from tests.names import UNIT


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


def run(world: FakeWorld, verb: str, *, now: bool = False) -> ExitCode:
    [named] = [one for one in VERBS if one.name == verb]
    return unit.run(called(world), Namespace(verb=named, now=now))


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


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_at_once_tells_the_service_not_to_wait_for_builds_before_it_is_stopped(world: FakeWorld, verb: str) -> None:
    make(world)
    heard: list[tuple[signal.Signals, str]] = []
    world.systemd.heeds[UNIT] = lambda number: heard.append((number, state(world)))

    run(world, verb)
    assert heard == []
    run(world, "start")
    run(world, verb, now=True)

    assert heard == [(AT_ONCE, "active")]


def test_what_does_not_run_can_be_stopped_at_once(world: FakeWorld) -> None:
    make(world)
    for _ in range(2):
        assert run(world, "stop", now=True) is ExitCode.OK


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_a_start_by_hand_takes_what_has_failed_for_seen_to(world: FakeWorld, verb: str) -> None:
    make(world)
    breaker = Breaker(chosen().settings, world)
    for _ in range(5):
        breaker.failed("sshd has ended")
    assert breaker.pause() > 0

    run(world, verb)

    assert breaker.pause() == 0
