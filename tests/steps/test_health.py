"""The guest's health: sessions that are tried now and then, without anybody waiting for them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from darlingbuilder.adapters.process import Completed
from darlingbuilder.adapters.sshclient import Login
from darlingbuilder.core import wait
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.steps.health import Health
from tests.steps.running_builder import Site, site

INTERVAL = 100.0
Guest = Callable[[Login, str, float], Completed]


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Patient:
    """A guest in use; ``asked``: the commands of the sessions that were begun."""

    site: Site
    clock: Clock
    health: Health
    asked: list[str] = field(default_factory=list)

    def falls_ill(self, guest: Guest) -> None:
        self.site.world.ssh.guest = guest

    def until_tried(self, count: int) -> None:
        """Let time pass, a look each second of it, until so many sessions were begun, and the last one has ended."""
        for _ in range(1000):
            self.clock.now += 1.0
            self.health.look()
            if self.health._asked:  # noqa: SLF001 - in real time it answers at once, the clock's stands still
                wait.until(lambda: self.health._asked.answer() is not None, seconds=5)  # type: ignore[union-attr]  # noqa: SLF001
            elif len(self.asked) >= count:
                return
        pytest.fail("not tried so often")


@pytest.fixture
def patient() -> Iterator[Patient]:
    with site(health_interval=str(int(INTERVAL)), boot_timeout="10") as made:
        made.builder.boot()
        clock = Clock()
        ill = Patient(made, clock, Health(made.settings, made.world, clock))
        well = made.world.ssh.guest

        def listening(login: Login, command: str, seconds: float) -> Completed:
            ill.asked.append(command)
            return well(login, command, seconds)

        made.world.ssh.guest = listening
        yield ill
        ill.health.end()


def saying(patient: Patient, code: int, said: str) -> Guest:
    def guest(_login: Login, command: str, _seconds: float) -> Completed:
        patient.asked.append(command)
        return Completed(("ssh",), code, said, "")

    return guest


def test_a_guest_that_runs_its_programs_is_left_alone(patient: Patient) -> None:
    patient.until_tried(5)
    assert len(patient.asked) == 5
    assert all("/bin/echo" in command for command in patient.asked)


def test_the_first_trial_comes_after_an_interval_and_each_with_another_nonce(patient: Patient) -> None:
    patient.clock.now += 0.79 * INTERVAL
    patient.health.look()
    assert patient.asked == []
    patient.until_tried(2)
    assert len(set(patient.asked)) == 2
    assert 1000.0 + 2 * 0.8 * INTERVAL <= patient.clock.now <= 1000.0 + 2 * 1.2 * INTERVAL + 10


@pytest.mark.parametrize(
    ("code", "said"),
    [(0, ""), (255, "Connection refused\n"), (1, "fork: Resource temporarily unavailable\n")],
    ids=["status 0 and nothing said", "refused", "no fork"],
)
def test_three_failures_in_a_row_end_the_service(
    patient: Patient, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.falls_ill(saying(patient, code, said))
    with pytest.raises(DarlingError, match="3 sessions in a row failed") as caught:
        patient.until_tried(10)
    assert len(patient.asked) == 3
    assert said.strip() in str(caught.value)
    assert capsys.readouterr().err.count("a session in the guest has failed") == 2
    # the later two came soon after the first
    assert patient.clock.now < 1000.0 + 1.2 * INTERVAL + 30


def test_a_guest_that_recovers_begins_a_new_row(patient: Patient) -> None:
    well = patient.site.world.ssh.guest
    for _ in range(2):
        patient.falls_ill(saying(patient, 1, ""))
        patient.until_tried(len(patient.asked) + 2)
        patient.falls_ill(well)
        patient.until_tried(len(patient.asked) + 1)
    assert len(patient.asked) == 6


def test_a_session_that_hangs_is_waited_for_by_nobody_and_is_a_failure_in_the_end(patient: Patient) -> None:
    def hanging(_login: Login, command: str, seconds: float) -> Completed:
        patient.asked.append(command)
        time.sleep(min(seconds, 3.0))
        return Completed(("ssh",), 124, "", "")

    patient.falls_ill(hanging)
    patient.clock.now += 2 * INTERVAL
    for _ in range(3):
        began = time.monotonic()
        patient.health.look()
        assert time.monotonic() - began < 0.25
        patient.clock.now += 10.5
        if len(patient.asked) == 3:
            break
        patient.health.look()
        patient.clock.now += 10.5
    with pytest.raises(DarlingError, match="no answer within 10 s"):
        patient.health.look()


def test_an_interval_of_none_tries_nothing() -> None:
    with site(health_interval="0") as made:
        clock = Clock()
        health = Health(made.settings, made.world, clock)
        made.world.ssh.guest = lambda *_: pytest.fail("was asked")
        for _ in range(10):
            clock.now += 1e6
            health.look()
