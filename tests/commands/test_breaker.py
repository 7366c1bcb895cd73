"""``breaker``: what the unit tells of an end with an error, and of a service that has begun."""

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.commands import breaker
from darlingbuilder.core import failures
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.core.failures import Record
from tests.commands.builder import called, machine, make
from tests.fakes import programs
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorld]:
    """Give a machine with a builder; nothing of a unit's environment is set."""
    for name in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS", "INVOCATION_ID"):
        monkeypatch.delenv(name, raising=False)
    with machine() as made:
        yield make(made)


def run(world: FakeWorld, event: str) -> Record | None:
    assert breaker.run(called(world), Namespace(event=event)) is ExitCode.OK
    return failures.read(chosen().settings, world.host)


def ended(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("exited", "1", "exit-code (status 1)"),
        ("killed", "KILL", "signal (signal KILL)"),
        ("dumped", "ABRT", "watchdog (signal ABRT)"),
    ],
)
def test_an_end_with_an_error_is_counted_with_how_it_ended(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, code: str, status: str, reason: str
) -> None:
    ended(monkeypatch, SERVICE_RESULT=reason.split(maxsplit=1)[0], EXIT_CODE=code, EXIT_STATUS=status)
    record = run(world, "ended")
    assert record is not None
    assert (record.failures, record.reason) == (1, reason)


def test_one_without_a_main_process_is_counted_too(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, SERVICE_RESULT="timeout")
    record = run(world, "ended")
    assert record is not None
    assert record.reason == "timeout"


def test_its_own_last_complaint_is_the_better_reason(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given: a journal
    programs.write(
        tmp_path / "journalctl",
        'echo "darlingbuilder: the first"; echo "  a hint"; echo "darlingbuilder: sshd has ended"; echo "  $*" >&2',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{programs.OWN_PATH}")
    ended(monkeypatch, SERVICE_RESULT="exit-code", EXIT_CODE="exited", EXIT_STATUS="1", INVOCATION_ID="0" * 32)
    # when
    record = run(world, "ended")
    # then
    assert record is not None
    assert record.reason == "sshd has ended"


@pytest.mark.parametrize("result", ["success", None])
def test_an_end_without_an_error_is_none(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, result: str | None
) -> None:
    if result:
        ended(monkeypatch, SERVICE_RESULT=result)
    assert run(world, "ended") is None


def test_a_service_that_has_begun_is_noted(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, SERVICE_RESULT="timeout")
    for _ in range(3):
        run(world, "ended")
    record = run(world, "serves")
    assert record is not None
    assert record.since is None
    assert record.serving is not None


@pytest.mark.parametrize("failed", [0, 3])
def test_a_start_waits_where_those_before_it_have_failed(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failed: int
) -> None:
    # given
    ended(monkeypatch, SERVICE_RESULT="timeout")
    before = None
    for _ in range(failed):
        before = run(world, "ended")
    capsys.readouterr()
    # when
    began = time.monotonic()
    after = run(world, "starts")
    # then
    assert after == before
    assert (time.monotonic() - began >= 2) is bool(failed)
    assert ("waiting before another start" in capsys.readouterr().err) is bool(failed)


def test_without_a_builder_there_is_nothing_to_count() -> None:
    with machine() as empty, pytest.raises(BuilderError, match="there is no builder"):
        breaker.run(called(empty), Namespace(event="ended"))
