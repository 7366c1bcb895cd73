"""The outcome of the last ``test``, kept beside the marker for ``status`` and ``metrics``."""

import time
from collections.abc import Sequence

import msgspec

from darlingbuilder.core import log
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.layers import Outcome


class Tested(msgspec.Struct, frozen=True):
    """A ``test`` that ended ``at`` this second of the epoch and took ``seconds``.

    ``failed``: the layer that did; ``build``: whether the build, too, was to be tried.
    """

    at: float
    seconds: float
    passed: bool
    failed: str | None
    build: bool


def record(settings: Settings, host: Tree, outcomes: Sequence[Outcome], *, build: bool) -> None:
    """Keep how a test ended. One that cannot be written down has been run nevertheless."""
    failed = next((outcome.layer for outcome in outcomes if outcome.state == "failed"), None)
    seconds = sum(outcome.seconds for outcome in outcomes)
    tested = Tested(time.time(), round(seconds, 3), passed=failed is None, failed=failed, build=build)
    try:
        host.write(Paths(settings).last_test, msgspec.json.encode(tested) + b"\n", owner=ROOT)
    except (OSError, BuilderError) as error:
        log.warning("the outcome is not kept for status", file=Paths(settings).last_test, why=error)


def last(settings: Settings, host: Tree) -> Tested | None:
    """Give the outcome of the last test; None if there was none. Raises BuilderError if it cannot be read."""
    path = Paths(settings).last_test
    content = host.read(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Tested)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BuilderError(f"{path}: {error}", hint="make it anew: darlingbuilder test") from error
