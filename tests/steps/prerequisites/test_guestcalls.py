"""What the small program in the guest says of system calls, and what it means."""

import pytest

from darlingbuilder.steps.prerequisites import guestcalls
from darlingbuilder.steps.prerequisites.finding import Level


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ("ok", Level.OK),
        ("ENOTSUP", Level.OK),
        ("EINVAL", Level.WARNING),
        ("EPERM", Level.WARNING),
    ],
)
def test_nix_takes_success_and_enotsup_for_a_link(told: str, level: Level) -> None:
    verdict = guestcalls.judge_lchflags(told)

    assert (verdict.level, verdict.figure) == (level, told)
    assert ('compat = "auto"' in verdict.hint) is (told == "EINVAL")


@pytest.mark.parametrize(("told", "level"), [("ok", Level.OK), ("ENOTSUP", Level.OK), ("ENOSYS", Level.WARNING)])
def test_a_call_that_is_missing_is_a_warning(told: str, level: Level) -> None:
    assert guestcalls.judge_call("clonefile", told).level is level


def test_darling_s_own_lines_among_the_answers_are_passed_over() -> None:
    text = "lchflags: EINVAL\nUnimplemented syscall (488)\nrenameatx_np: ENOSYS\nclonefile: E999\n\x00: ok\n"

    assert guestcalls.answers(text) == {"lchflags": "EINVAL", "renameatx_np": "ENOSYS", "clonefile": "E999"}
