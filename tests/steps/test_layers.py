"""Layers tried in their order, until one fails."""

import time
from collections.abc import Callable

from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.steps.layers import Layer, UnmetError, climb


def layer(name: str, probe: Callable[[list[str], float], str], *, seconds: float = 5) -> Layer[list[str]]:
    return Layer(name, seconds, f"mend {name}", probe)


def passing(visited: list[str], _seconds: float) -> str:
    visited.append("passed")
    return "seen"


def failing(visited: list[str], _seconds: float) -> str:
    visited.append("failed")
    raise UnmetError("it is broken")


def test_all_pass_and_say_what_they_saw() -> None:
    outcomes = list(climb([layer("a", passing), layer("b", passing)], [], seconds=5))

    assert [(outcome.layer, outcome.state, outcome.detail) for outcome in outcomes] == [
        ("a", "passed", "seen"),
        ("b", "passed", "seen"),
    ]


def test_the_first_failure_is_the_last_that_is_tried() -> None:
    visited: list[str] = []

    outcomes = list(climb([layer("a", passing), layer("b", failing), layer("c", passing)], visited, seconds=5))

    assert [outcome.state for outcome in outcomes] == ["passed", "failed", "not run"]
    assert visited == ["passed", "failed"]
    assert (outcomes[1].detail, outcomes[1].hint) == ("it is broken", "mend b")


def test_a_hint_of_the_probe_is_worth_more_than_that_of_the_layer() -> None:
    def without_nix(_visited: list[str], _seconds: float) -> str:
        raise PrerequisiteError("no Nix", hint="install it")

    assert next(climb([layer("a", without_nix)], [], seconds=5)).hint == "install it"


def test_a_probe_gets_its_own_time_or_what_is_left_of_all() -> None:
    given: list[float] = []

    def note(_visited: list[str], seconds: float) -> str:
        given.append(seconds)
        return ""

    list(climb([layer("a", note, seconds=1), layer("b", note, seconds=60)], [], seconds=5))

    assert given[0] == 1
    assert 4 < given[1] <= 5


def test_when_the_time_for_all_is_over_that_is_said() -> None:
    def slow(_visited: list[str], seconds: float) -> str:
        time.sleep(seconds)
        raise UnmetError("no end")

    def slow_but_right(_visited: list[str], seconds: float) -> str:
        time.sleep(seconds)
        return ""

    during = list(climb([layer("a", slow)], [], seconds=0.05))
    between = list(climb([layer("a", slow_but_right), layer("b", passing)], [], seconds=0.05))

    assert "--timeout" in during[0].hint
    assert [outcome.state for outcome in between] == ["passed", "failed"]
    assert "--timeout" in between[1].hint
