"""What is made of systemd's answers that a machine does not give at will; the rest is in the contract."""

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from darlingbuilder.adapters.systemdbus import SystemdBus
from darlingbuilder.core.errors import CanceledJobError, SystemdError
from tests.fakes.bus import FakeBus, error
from tests.fakes.programs import write

if TYPE_CHECKING:
    from pystemd.dbuslib import DBus

UNIT = "nix-daemon.service"
# Each tells by name that there is nothing to be told, in words of its own.
ABSENT = {
    b"StopUnit": (b"org.freedesktop.systemd1.NoSuchUnit", b"Unit is strange to me."),
    b"TryRestartUnit": (b"org.freedesktop.systemd1.NoSuchUnit", b"Unit is strange to me."),
    b"DisableUnitFiles": (b"org.freedesktop.DBus.Error.FileNotFound", b"ENOENT"),
    b"ResetFailedUnit": (b"org.freedesktop.systemd1.NoSuchUnit", b"Unit is strange to me."),
    b"KillUnit": (b"org.freedesktop.systemd1.NoSuchProcess", b"Nobody home"),
}
TOLERANT: dict[bytes, Callable[[SystemdBus], object]] = {
    b"StopUnit": lambda systemd: systemd.stop(UNIT),
    b"TryRestartUnit": lambda systemd: systemd.try_restart(UNIT),
    b"DisableUnitFiles": lambda systemd: systemd.disable(UNIT),
    b"ResetFailedUnit": lambda systemd: systemd.reset_failed(UNIT),
    b"KillUnit": lambda systemd: systemd.send(UNIT, signal.SIGUSR1),
}


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal in which somebody else missed something."""
    lines = ("error: file 'x.conf' included from '/etc/nix/nix.conf' not found", "cat: No such file or directory")
    write(tmp_path / "bin" / "journalctl", "\n".join(f'echo "{line}"' for line in lines))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.defpath}")


def systemd(bus: FakeBus) -> SystemdBus:
    return SystemdBus(cast("DBus", bus), seconds_between_looks=0.0)


@pytest.mark.parametrize("method", TOLERANT, ids=bytes.decode)
def test_what_is_not_there_is_known_by_the_name_of_the_error(method: bytes) -> None:
    TOLERANT[method](systemd(FakeBus(refused={method: error(-errno.EIO, *ABSENT[method])})))


@pytest.mark.parametrize("method", TOLERANT, ids=bytes.decode)
def test_another_refusal_is_an_error_whatever_its_words(method: bytes) -> None:
    said = b"File x.conf not found: No such file or directory"
    refusal = error(-errno.EIO, b"org.freedesktop.systemd1.BadUnitSetting", said)

    with pytest.raises(SystemdError, match=r"x\.conf not found"):
        TOLERANT[method](systemd(FakeBus(refused={method: refusal})))


@pytest.mark.parametrize("outcome", [b"failed", b"canceled", b"timeout", b"dependency"])
@pytest.mark.parametrize("method", [b"StopUnit", b"TryRestartUnit"], ids=bytes.decode)
def test_a_job_that_comes_to_nothing_is_an_error_whatever_the_journal_says(method: bytes, outcome: bytes) -> None:
    with pytest.raises(SystemdError, match=rf"(?s){UNIT}: {outcome.decode()}.*not found"):
        TOLERANT[method](systemd(FakeBus(outcome)))


@pytest.mark.parametrize("method", [b"StopUnit", b"TryRestartUnit"], ids=bytes.decode)
def test_a_job_that_is_done_is_done(method: bytes) -> None:
    TOLERANT[method](systemd(FakeBus(b"done")))


@pytest.mark.parametrize("looks", [0, 1, 50])
def test_a_job_is_waited_for_as_long_as_systemd_has_it(looks: int) -> None:
    bus = FakeBus(b"done", looks=looks)

    systemd(bus).stop(UNIT)

    assert bus.looks <= 0


def test_a_job_that_has_ended_unheard_is_an_error_and_not_waited_for() -> None:
    with pytest.raises(SystemdError, match="over, nobody knows how") as caught:
        systemd(FakeBus(None, looks=2)).stop(UNIT)
    assert caught.value.hint


def test_a_systemd_that_is_slow_to_answer_still_has_the_job() -> None:
    busy = error(-errno.ETIMEDOUT, b"org.freedesktop.DBus.Error.NoReply", b"Remote peer is busy")
    bus = FakeBus(b"done", looks=1, refused={b"Get": busy})

    answers = threading.Timer(0.2, lambda: setattr(bus, "refused", {}))
    answers.start()

    systemd(bus).stop(UNIT)

    assert bus.looks == 0
    answers.join()


def test_where_the_bus_is_lost_meanwhile_that_is_said() -> None:
    with pytest.raises(SystemdError, match="the connection to systemd is lost") as caught:
        systemd(FakeBus(lost=True)).stop(UNIT)
    assert caught.value.hint


def test_that_somebody_wanted_the_opposite_is_told_from_other_failures() -> None:
    with pytest.raises(CanceledJobError):
        systemd(FakeBus(b"canceled")).stop(UNIT)
    with pytest.raises(SystemdError) as caught:
        systemd(FakeBus(b"failed")).stop(UNIT)
    assert not isinstance(caught.value, CanceledJobError)
