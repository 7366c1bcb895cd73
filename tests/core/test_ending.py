"""How a process ended reads as one says it."""

import signal

import pytest

from darlingbuilder.core import ending


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "signal KILL"), (signal.SIGABRT, "signal ABRT"), (63, "signal 63")]
)
def test_a_signal_is_named(number: int, said: str) -> None:
    assert ending.by_signal(number) == said


def test_a_status_is_a_number() -> None:
    assert ending.by_status(3) == "status 3"


@pytest.mark.parametrize(("code", "said"), [(0, "gave 0"), (3, "gave 3"), (-9, "was ended by signal KILL")])
def test_an_exit_code_is_either(code: int, said: str) -> None:
    assert ending.told(code) == said
