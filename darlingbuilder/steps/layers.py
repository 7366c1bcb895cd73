"""A connection tried layer by layer, each one timed; the first that fails ends it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

from darlingbuilder.core.errors import BuilderError

AccessT = TypeVar("AccessT")
_MORE_TIME = "the time for all layers is over; give them more: --timeout SECONDS"


class UnmetError(BuilderError):
    """A layer does not do what it should; without a hint of its own the layer's is shown."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Layer(Generic[AccessT]):
    """``probe`` tries it for at most so many seconds and says what it saw; it raises BuilderError if it fails.

    ``seconds``: more than that it is not given. ``hint``: what to do where the probe itself does not say.
    """

    name: str
    seconds: float
    hint: str
    probe: Callable[[AccessT, float], str]


class Outcome(msgspec.Struct, frozen=True):
    """How a layer ended; ``hint`` is there for one that failed."""

    layer: str
    state: Literal["passed", "failed", "not run"]
    seconds: float
    detail: str
    hint: str


def climb(layers: Sequence[Layer[AccessT]], access: AccessT, *, seconds: float) -> Iterator[Outcome]:
    """Try ``layers`` in their order, within ``seconds`` for all, and give each outcome as soon as it is known."""
    deadline = time.monotonic() + seconds
    failed = False
    for layer in layers:
        if failed:
            yield Outcome(layer.name, "not run", 0.0, "", "")
            continue
        outcome = _tried(layer, access, deadline)
        failed = outcome.state == "failed"
        yield outcome


def _tried(layer: Layer[AccessT], access: AccessT, deadline: float) -> Outcome:
    start = time.monotonic()
    if deadline <= start:
        return Outcome(layer.name, "failed", 0.0, "no time is left for it", _MORE_TIME)
    try:
        seen = layer.probe(access, min(layer.seconds, deadline - start))
    except BuilderError as error:
        end = time.monotonic()
        hint = _MORE_TIME if end >= deadline else error.hint or layer.hint
        return Outcome(layer.name, "failed", end - start, str(error), hint)
    return Outcome(layer.name, "passed", time.monotonic() - start, seen, "")
