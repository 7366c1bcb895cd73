"""Programs: started with exactly what is said, captured, bounded, never left behind."""

import os
import signal
import time
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import TIMED_OUT, Start
from darlingbuilder.core import log, wait
from darlingbuilder.core.errors import CommandError, PrerequisiteError


def test_output_and_status_are_captured() -> None:
    completed = process.run("sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (completed.code, completed.stdout, completed.stderr) == (3, "out\n", "err\n")


def test_a_failure_is_an_error_that_quotes_the_command_and_its_last_words() -> None:
    with pytest.raises(CommandError, match=r"«sh -c 'echo alas >&2; exit 3'» gave 3: alas") as caught:
        process.run("sh", "-c", "echo alas >&2; exit 3")
    assert caught.value.hint


def test_a_signal_is_named() -> None:
    with pytest.raises(CommandError, match="was ended by signal TERM"):
        process.run("sh", "-c", "kill -TERM $$")


def test_what_is_printed_without_an_end_is_not_taken_in() -> None:
    with pytest.raises(CommandError, match="printed more than 64 MiB"):
        process.run("head", "-c", "65M", "/dev/zero", check=False)


def test_the_environment_is_exactly_what_is_said() -> None:
    completed = process.run("env", start=Start(environment={"ONLY": "this"}))
    assert completed.stdout == "ONLY=this\n"


def test_stdin_is_passed_byte_for_byte() -> None:
    assert process.run("od", "-An", "-tx1", stdin=b"\x00\xff").stdout.split() == ["00", "ff"]


def test_a_program_that_is_not_there_is_a_missing_prerequisite() -> None:
    with pytest.raises(PrerequisiteError, match="no-such-program: not found"):
        process.run("no-such-program")


def test_a_time_limit_ends_the_program_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    completed = process.run("sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait", timeout=0.5, check=False)

    assert completed.code == TIMED_OUT
    assert time.monotonic() - began < 5
    # Killed with its parent, and nobody waits for it.
    assert wait.until(lambda: not procfs.alive(int(pid_file.read_text())), seconds=5)


def test_a_grandchild_that_keeps_the_output_open_does_not_keep_us_waiting(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    process.run("sh", "-c", f"sleep 60 & echo $! > {pid_file}")

    assert time.monotonic() - began < 5
    process.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_spawn_does_not_wait_and_writes_to_its_log(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        running = process.spawn("sh", "-c", "echo begun; exec sleep 60", start=Start(), log=log)
    assert wait.until(lambda: (tmp_path / "log").read_text() == "begun\n", seconds=5)
    assert running.poll() is None
    process.kill(running.pid, signal.SIGKILL)
    assert running.wait(5) == -signal.SIGKILL


def test_killing_what_is_gone_succeeds() -> None:
    with Path(os.devnull).open("wb") as nowhere:
        running = process.spawn("true", start=Start(), log=nowhere)
    running.wait(5)
    process.kill(running.pid, signal.SIGTERM)


def test_a_file_beyond_the_limit_ends_who_writes_it() -> None:
    with process.limits(open_files=64, file_size=10_000):
        said = process.run("sh", "-c", "ulimit -Sn; exec cat /dev/zero", timeout=20, check=False)

    assert said.code == -signal.SIGXFSZ
    assert len(said.stdout) == 10_000
    assert said.stdout.startswith("64\n")


def test_ending_a_program_ends_what_it_has_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with (tmp_path / "log").open("wb") as log:
        running = process.spawn("sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait", start=Start(), log=log)
        assert wait.until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), seconds=10)

        process.end(running)

    assert wait.until(lambda: not procfs.alive(int(pid_file.read_text())), seconds=10)


def test_each_command_is_said_to_whoever_looks_for_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(verbose=True, quiet=False)
    try:
        process.run("sh", "-c", "exit 3", check=False)
    finally:
        log.configure(verbose=False, quiet=False)
    assert capsys.readouterr().err.splitlines() == [
        "debug: running command=\"sh -c 'exit 3'\"",
        "debug: ended command=\"sh -c 'exit 3'\" outcome='gave 3'",
    ]
