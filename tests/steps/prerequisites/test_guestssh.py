"""What the guest's sshd has answered, and what it means."""

import pytest

from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.steps.prerequisites import guestssh
from darlingbuilder.steps.prerequisites.finding import Level
from darlingbuilder.steps.prerequisites.guestssh import Answers

BANNER = "SSH-2.0-OpenSSH_8.1"
WORD = "0123456789abcdef"
STRAY = "sys_proc_info(): Unsupported pidinfo flavor: 1\n" * 2


def session(stdout: str, code: int = 0) -> Completed:
    return Completed(("ssh",), code, stdout, "")


@pytest.mark.parametrize(
    ("seen", "level", "says"),
    [
        (Answers(2300, BANNER, BANNER, ""), Level.OK, BANNER),
        (Answers(2300, None, BANNER, ""), Level.WARNING, "127.0.0.1 die"),
        (Answers(2300, None, None, "Connection from 127.0.0.1 with IP opts: 00 00"), Level.WARNING, "127.0.0.1 die"),
        (Answers(2300, None, None, "Missing privilege separation"), Level.FAILURE, "Missing privilege separation"),
        (Answers(2300, "HTTP/1.1 400", None, ""), Level.FAILURE, "does not greet"),
    ],
)
def test_an_sshd_that_dies_by_ipv4_alone_is_cured(seen: Answers, level: Level, says: str) -> None:
    verdict = guestssh.judge_ipv4(seen)

    assert verdict.level is level
    assert says in verdict.detail
    assert ('compat = "auto"' in verdict.hint) is (level is Level.WARNING)


@pytest.mark.parametrize(
    ("stdout", "level", "figure"),
    [
        (f"{WORD}\n", Level.OK, 0),
        (f"{STRAY}{WORD}\n", Level.WARNING, 2),
        (f"Welcome\n{WORD}\n", Level.FAILURE, 1),
        ("", Level.FAILURE, None),
        (STRAY, Level.FAILURE, None),
    ],
)
def test_a_session_prints_what_it_is_asked_to_and_nothing_else(stdout: str, level: Level, figure: int | None) -> None:
    verdict = guestssh.judge_output(session(stdout), WORD, 10.0)

    assert (verdict.level, verdict.figure) == (level, figure)


def test_a_login_that_hangs_is_told() -> None:
    assert "no end within 10.0 s" in guestssh.judge_output(session("", TIMED_OUT), WORD, 10.0).detail
