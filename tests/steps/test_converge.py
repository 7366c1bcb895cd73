"""Check, apply, check again; and withdrawal with its errors collected."""

from dataclasses import dataclass, field

import pytest

from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.steps.converge import converge, survey, withdraw


@dataclass
class Switch:
    """A step that is on or off, or stuck."""

    name: str
    on: bool = False
    stuck: bool = False
    broken: bool = False
    calls: list[str] = field(default_factory=list)

    def check(self) -> list[Drift]:
        if self.broken:
            raise BuilderError(f"{self.name} cannot be seen", hint="look elsewhere")
        return [] if self.on else [Drift(self.name, "is off")]

    def apply(self) -> None:
        self.calls.append("apply")
        self.on = not self.stuck

    def revert(self) -> None:
        self.calls.append("revert")
        if self.stuck:
            raise BuilderError(f"{self.name} is stuck", hint="pull")
        self.on = False


def ignore(*_: object) -> None:
    """Announce nothing."""


def test_a_converged_step_is_not_applied() -> None:
    step = Switch("lamp", on=True)
    converge(step, announce=ignore)
    assert step.calls == []


def test_a_drifted_step_is_announced_then_applied() -> None:
    step, said = Switch("lamp"), []
    converge(step, announce=lambda name, drift: said.append((name, drift[0].detail, step.on)))
    assert said == [("lamp", "is off", False)]
    assert step.on


def test_a_step_that_apply_does_not_cure_is_an_error() -> None:
    with pytest.raises(BuilderError, match="lamp is still not as it should be: is off"):
        converge(Switch("lamp", stuck=True), announce=ignore)


def test_a_survey_has_the_errors_as_part_of_its_answer() -> None:
    found = survey([Switch("lamp", broken=True), Switch("fan"), Switch("door", on=True)])
    assert [(step.step, bool(step.error), step.converged) for step in found] == [
        ("lamp", True, False),
        ("fan", False, False),
        ("door", False, True),
    ]


def test_withdrawal_goes_backwards_and_collects_errors() -> None:
    steps = [Switch("first", on=True), Switch("second", stuck=True), Switch("third", on=True)]
    order: list[str] = []
    errors = withdraw(steps, announce=order.append)
    assert order == ["third", "second", "first"]
    assert [str(error) for error in errors] == ["second is stuck"]
    assert [step.calls for step in steps] == [["revert"]] * 3
