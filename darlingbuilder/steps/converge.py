"""Check, apply, check again; and the way back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from darlingbuilder.core import log
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.steps.step import Step

Announce = Callable[[str, Sequence[Drift]], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What checking a step gave; ``error``: why it could not be checked."""

    step: str
    drift: Sequence[Drift]
    error: BuilderError | None = None

    @property
    def converged(self) -> bool:
        """Whether the step is as it should be."""
        return not self.drift and self.error is None


def survey(steps: Iterable[Step]) -> list[Found]:
    """Check every step; an error found on the way is part of the answer."""
    return [_found(step) for step in steps]


def converge(step: Step, *, announce: Announce) -> None:
    """Apply ``step`` if it has drifted, and see that this helped. Raises BuilderError.

    ``announce`` is called with the step's name and its drift before anything is changed.
    """
    drift = step.check()
    if not drift:
        return
    announce(step.name, drift)
    step.apply()
    if left := step.check():
        raise BuilderError(
            f"{step.name}: {left[0].what} is still not as it should be: {left[0].detail}",
            hint="something else may be changing it at the same time; «darlingbuilder status» shows all of it",
        )


def told(step: str, drift: Sequence[Drift]) -> None:
    """Log what is about to be changed: for whoever has nothing else to say of it."""
    for found in drift:
        log.info("applying", step=step, what=found.what, why=found.detail)


def withdraw(steps: Sequence[Step], *, announce: Callable[[str], None]) -> list[BuilderError]:
    """Revert the steps, the last first. One that fails does not keep the others; its error is in the answer."""
    errors = []
    for step in reversed(steps):
        announce(step.name)
        try:
            step.revert()
        except BuilderError as error:
            errors.append(error)
    return errors


def _found(step: Step) -> Found:
    try:
        return Found(step.name, step.check())
    except BuilderError as error:
        return Found(step.name, (), error)
