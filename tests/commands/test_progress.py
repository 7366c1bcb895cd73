"""Progress: lines where nobody watches, a bar on a terminal, nothing where nothing was asked for."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Start
from darlingbuilder.commands import progress

SHOWING = """
from darlingbuilder.commands import progress
with progress.bytes_moved("copying", 3 * 2**20, quiet=False) as moved:
    moved(2**20)
    moved(2**21)
"""


def test_without_a_terminal_a_line_says_what_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bytes_moved("copying", 3 * 2**20, quiet=False) as moved:
        moved(2**20)

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "copying bytes='3.0 MiB'\n")


@pytest.mark.parametrize(("total", "quiet"), [(0, False), (100, True)])
def test_nothing_to_do_and_quiet_show_nothing(capsys: pytest.CaptureFixture[str], total: int, *, quiet: bool) -> None:
    with progress.bytes_moved("copying", total, quiet=quiet) as moved:
        moved(10)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("said", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_a_bar_and_colours_if_they_are_wanted(
    tmp_path: Path, said: dict[str, str], *, coloured: bool
) -> None:
    shown = on_terminal(tmp_path, {"TERM": "xterm-256color", **said})

    assert "copying" in shown
    assert "\x1b[?25l" in shown  # a bar hides the cursor
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", shown)) is coloured


def test_a_terminal_that_can_do_nothing_gets_lines(tmp_path: Path) -> None:
    assert on_terminal(tmp_path, {"TERM": "dumb"}) == "copying bytes='3.0 MiB'\r\n"


def on_terminal(tmp_path: Path, environment: dict[str, str]) -> str:
    """Run it with a terminal for its stderr, and give what that was shown."""
    ours, theirs = pty.openpty()
    start = Start(environment={"PYTHONPATH": os.pathsep.join(sys.path), **environment}, directory=tmp_path)
    with open(theirs, "wb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        running = process.spawn(sys.executable, "-c", SHOWING, start=start, log=terminal)
        assert running.wait(30) == 0
        shown = os.read(ours, 100_000).decode()
    os.close(ours)
    return shown
