"""Waiting ends with the condition, or with the time."""

import time
from itertools import count

from darlingbuilder.core import wait


def test_a_condition_that_holds_is_not_waited_for() -> None:
    before = time.monotonic()

    assert wait.until(lambda: True, seconds=10)

    assert time.monotonic() - before < 1


def test_a_condition_is_asked_until_it_holds() -> None:
    asked = count()

    assert wait.until(lambda: next(asked) == 3, seconds=10)

    assert next(asked) == 4


def test_without_time_the_condition_is_asked_once() -> None:
    asked = count()

    assert not wait.until(lambda: next(asked) > 5, seconds=0)

    assert next(asked) == 1


def test_a_condition_that_never_holds_is_given_up_in_time() -> None:
    before = time.monotonic()

    assert not wait.until(lambda: False, seconds=0.05)

    assert 0.05 <= time.monotonic() - before < 1
