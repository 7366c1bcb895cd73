"""Two programs joined: all goes through, each failure is told as what it is, nobody is left behind."""

import sys
import time
from pathlib import Path

import pytest

from darlingbuilder.adapters import pipe, procfs
from darlingbuilder.adapters.pipe import Command
from darlingbuilder.core.errors import CommandError

MUCH = 3_000_000


def shell(script: str) -> Command:
    return Command(("sh", "-c", script))


def stream(source: str, sink: str, *, timeout: float = 20) -> int:
    counts: list[int] = []
    pipe.stream(shell(source), shell(sink), moved=counts.append, timeout=timeout)
    return sum(counts)


def test_every_byte_goes_through_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(range(256)) * (MUCH // 256))

    moved = stream(f"cat {tmp_path}/in", f"sleep 0.1; cat > {tmp_path}/out")

    assert (tmp_path / "out").read_bytes() == (tmp_path / "in").read_bytes()
    assert moved == (tmp_path / "in").stat().st_size


def test_nothing_is_nothing() -> None:
    assert stream("true", "cat") == 0


def test_a_writer_that_fails_is_named_though_the_reader_complains_as_well() -> None:
    with pytest.raises(CommandError, match="gave 3: alas"):
        stream("echo half; echo alas >&2; exit 3", "cat >/dev/null; echo truncated >&2; exit 1")


def test_a_reader_that_fails_is_named_though_the_writer_complains_as_well() -> None:
    writing = f"import os, sys\ntry:\n os.write(1, bytes({MUCH}))\nexcept OSError:\n sys.exit('broken pipe')"
    with pytest.raises(CommandError, match="gave 4: No space"):
        pipe.stream(
            Command((sys.executable, "-c", writing)),
            shell("head -c 10 >/dev/null; echo No space >&2; exit 4"),
            moved=lambda _count: None,
            timeout=20,
        )


def test_a_reader_that_does_not_want_all_of_it_is_a_failure() -> None:
    with pytest.raises(CommandError, match="head -c"):
        stream("yes", "head -c 10 >/dev/null; exit 5")


@pytest.mark.parametrize("stuck", ["writer", "reader"])
def test_who_is_stuck_is_killed_when_the_time_is_over(tmp_path: Path, stuck: str) -> None:
    sleeping = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    began = time.monotonic()

    with pytest.raises(CommandError):
        stream(*((sleeping, "cat") if stuck == "writer" else ("yes", sleeping)), timeout=0.5)

    assert time.monotonic() - began < 5
    assert not procfs.alive(int((tmp_path / "pid").read_text()))


def test_an_interruption_leaves_neither_behind(tmp_path: Path) -> None:
    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    source = shell(f"echo $$ > {tmp_path}/a; echo x; exec sleep 60")
    sink = shell(f"echo $$ > {tmp_path}/b; exec sleep 60")
    with pytest.raises(KeyboardInterrupt):
        pipe.stream(source, sink, moved=interrupt, timeout=20)

    written = [file for file in (tmp_path / "a", tmp_path / "b") if file.exists() and file.read_text()]
    assert written
    assert not any(procfs.alive(int(file.read_text())) for file in written)
