"""Waiting for a condition of the outside world, with an end."""

import time
from collections.abc import Callable

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2


def until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask ``condition`` ever more slowly until it holds; false when ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True
