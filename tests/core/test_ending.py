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
