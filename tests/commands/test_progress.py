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

_END = b"<END>"
SHOWING = """
from darlingbuilder.commands import progress
with progress.bytes_moved("copying", 3 * 2**20, quiet=False) as moved:
    moved(2**20)
    moved(2**21)
"""

STEPS = """
from darlingbuilder.commands import progress
from darlingbuilder.core import log
log.configure(verbose=False, quiet=False)
with progress.steps() as at:
    log.info("applying", step="nix")
    at("nix")
    log.info("applying", step="store")
    at("store")
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


def test_a_terminal_is_told_which_step_is_at_work_below_what_was_said_of_it(tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, {"TERM": "xterm-256color", "COLUMNS": "80"}, STEPS)

    assert "applying step=nix" in shown
    assert re.search(r"nix.*0:00:00", shown)
    assert shown.index("applying step=nix") < shown.index("applying step=store") < shown.rindex("store")
    assert shown.rstrip().endswith("\x1b[2K") or "\x1b[?25h" in shown  # the cursor is back


@pytest.mark.parametrize("begin", ["TERM=dumb", "quiet", "nothing to do"])
def test_no_step_is_shown_where_nobody_wants_it(tmp_path: Path, begin: str) -> None:
    script = {
        "quiet": STEPS.replace("quiet=False", "quiet=True"),
        "nothing to do": STEPS.partition("    log.info")[0] + "    pass\n",
    }.get(begin, STEPS)
    shown = on_terminal(tmp_path, {"TERM": "dumb" if "dumb" in begin else "xterm"}, script)
    assert "\x1b" not in shown
    assert "0:00" not in shown


def on_terminal(tmp_path: Path, environment: dict[str, str], script: str = SHOWING) -> str:
    """Run it with a terminal for its stderr, and give what that was shown."""
    ours, theirs = pty.openpty()
    start = Start(environment={"PYTHONPATH": os.pathsep.join(sys.path), **environment}, directory=tmp_path)
    with open(theirs, "wb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        running = process.spawn(sys.executable, "-c", script, start=start, log=terminal)
        assert running.wait(30) == 0
        # A terminal gives what it was shown in portions, and has no end of its own.
        os.write(theirs, _END)
        shown = b""
        while not shown.endswith(_END):
            shown += os.read(ours, 100_000)
    os.close(ours)
    return shown.removesuffix(_END).decode()
