"""The breaker: when Nix is told that the builder is out of service, and when that it is back."""

import signal
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from darlingbuilder.core import failures, machines
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.machinesline import MachinesLine
from darlingbuilder.steps.registration import Registration
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld
from tests.names import OUR_MACHINES, UNIT

SETTINGS = chosen().settings
OURS, OUT = "ssh-ng://darling-builder", "ssh-ng://darling-builder-out-of-service"


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield make(made)


def at(world: FakeWorld, moment: float, settings: Settings = SETTINGS) -> Breaker:
    return Breaker(settings, world, lambda: moment)


def told(world: FakeWorld, settings: Settings = SETTINGS) -> str:
    """Give the URI of the one machine that Nix is told of."""
    path = MachinesLine(settings, world).path
    assert path is not None
    [line] = machines.expand((world.host.read(path) or b"").decode(), lambda _path: None).entries
    return machines.parse(line).uri


def fail(world: FakeWorld, times: int, *, settings: Settings = SETTINGS, reason: str = "sshd has ended") -> None:
    for number in range(times):
        at(world, 100.0 + number, settings).failed(reason)


def test_two_failures_are_borne(world: FakeWorld) -> None:
    fail(world, 2)
    assert told(world) == OURS
    assert failures.outage(SETTINGS, world.host) is None


def test_the_third_in_a_row_takes_the_builder_out_of_service(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(world, 3, reason="the launcher gave 1")

    assert told(world) == OUT
    assert failures.outage(SETTINGS, world.host) == failures.Outage(102.0, "the launcher gave 1")
    assert "out of service" in capsys.readouterr().err


def test_further_ones_change_no_more_than_the_reason(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    fail(world, 3)
    capsys.readouterr()

    at(world, 110.0).failed("another one")

    assert failures.outage(SETTINGS, world.host) == failures.Outage(102.0, "another one")
    assert capsys.readouterr().err == ""


def test_the_first_success_puts_it_back(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    fail(world, 3)
    capsys.readouterr()

    at(world, 130.0).serves()

    assert told(world) == OURS
    assert failures.outage(SETTINGS, world.host) is None
    said = capsys.readouterr().err
    assert "in service again" in said
    assert "28" in said


def test_one_that_serves_for_a_moment_only_is_out_again_at_its_next_failure(world: FakeWorld) -> None:
    fail(world, 3)
    at(world, 130.0).serves()
    at(world, 140.0).failed("sshd has ended")
    assert told(world) == OUT


def test_after_minutes_of_service_a_failure_is_the_first_of_its_row(world: FakeWorld) -> None:
    fail(world, 3)
    at(world, 130.0).serves()
    at(world, 500.0).failed("sshd has ended")
    assert told(world) == OURS
    assert (record := failures.read(SETTINGS, world.host)) is not None
    assert record.failures == 1


def test_a_builder_that_never_failed_leaves_no_record(world: FakeWorld) -> None:
    at(world, 100.0).serves()
    at(world, 100.0).forget()
    assert world.host.read(Paths(SETTINGS).failures) is None


def test_an_init_leaves_the_line_as_the_breaker_wants_it(world: FakeWorld) -> None:
    fail(world, 3)
    registration = Registration(SETTINGS, world)
    before = seen(world.host.root), times(world.host.root)

    assert registration.check() == []
    registration.apply()

    assert (seen(world.host.root), times(world.host.root)) == before
    assert told(world) == OUT


@pytest.mark.parametrize("uri", [OURS, OUT])
def test_a_line_that_says_the_contrary_is_drift_and_is_healed(world: FakeWorld, uri: str) -> None:
    fail(world, 3)
    wrong = (world.host.read(OUR_MACHINES) or b"").replace(OUT.encode(), uri.encode())
    if uri == OUT:
        world.host.remove(Paths(SETTINGS).failures)
    world.host.write(OUR_MACHINES, wrong)

    assert [found.what for found in Registration(SETTINGS, world).check()] == [str(OUR_MACHINES)]
    Registration(SETTINGS, world).apply()
    assert Registration(SETTINGS, world).check() == []


def test_without_a_breaker_failures_are_counted_and_the_line_stays(world: FakeWorld) -> None:
    without = replace(SETTINGS, breaker=False)
    fail(world, 5, settings=without)
    assert told(world, without) == OURS
    assert (record := failures.read(without, world.host)) is not None
    assert record.failures == 5
    assert Registration(without, world).check() == []


def test_a_breaker_that_is_switched_off_while_it_is_open_lets_go(world: FakeWorld) -> None:
    fail(world, 3)
    without = Registration(replace(SETTINGS, breaker=False), world)

    assert {found.what for found in without.check()} == {str(OUR_MACHINES), str(Paths(SETTINGS).failures)}
    without.apply()

    assert without.check() == []
    assert told(world) == OURS


def test_where_others_register_the_builder_it_is_the_line_that_they_include(world: FakeWorld) -> None:
    offered = replace(SETTINGS, register=False)
    Registration(offered, world).apply()
    fail(world, 3, settings=offered)
    assert told(world, offered) == OUT
    assert world.host.read(OUR_MACHINES) is None
    at(world, 130.0, offered).serves()
    assert told(world, offered) == OURS


def test_a_withdrawal_takes_the_record_too(world: FakeWorld) -> None:
    fail(world, 3)
    Registration(SETTINGS, world).revert()
    assert world.host.read(Paths(SETTINGS).failures) is None
    assert world.host.read(OUR_MACHINES) is None


@pytest.mark.parametrize(("count", "seconds"), [(1, 0), (2, 0), (3, 2), (4, 4), (6, 16), (7, 30), (50, 30)])
def test_the_next_start_waits_ever_longer_but_never_for_good(world: FakeWorld, count: int, seconds: float) -> None:
    fail(world, count)
    assert at(world, 200.0).pause() == seconds


@pytest.mark.parametrize(("count", "seconds"), [(3, 0), (9, 0), (10, 2), (20, 30)])
def test_one_that_serves_in_between_is_started_at_once_for_longer(
    world: FakeWorld, count: int, seconds: float
) -> None:
    for number in range(count):
        at(world, 10.0 * number).serves()
        at(world, 10.0 * number + 5).failed("sshd has ended")
    assert at(world, 1000.0).pause() == seconds


def test_a_record_of_thousands_of_failures_is_no_trouble(world: FakeWorld) -> None:
    failures.write(SETTINGS, world.host, failures.Record(5000, "why", vain=5000))
    assert at(world, 0.0).pause() == 30


def test_whoever_starts_it_by_hand_does_not_wait(world: FakeWorld) -> None:
    fail(world, 6)
    at(world, 200.0).forget()
    assert at(world, 200.0).pause() == 0
    assert told(world) == OUT


def test_a_start_by_the_service_step_does_not_wait(world: FakeWorld) -> None:
    fail(world, 6)
    world.systemd.send(UNIT, signal.SIGKILL)
    make(world)
    assert at(world, 200.0).pause() == 0
