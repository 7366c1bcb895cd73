"""The record of a builder that fails: how often in a row, why, and since when it is out of service for that."""

import msgspec

from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree


class Record(msgspec.Struct, frozen=True):
    """What is kept from one failure to the next. Moments are seconds of the epoch.

    ``failures``: in a row; ``reason``: the last one's; ``vain``: how many of them, to the last one, were starts that
    came to nothing; ``since``: when Nix was told to send nothing, null while it sends; ``serving``: when the builder
    began to serve after the last failure, null where it has not.
    """

    failures: int
    reason: str
    vain: int = 0
    since: float | None = None
    serving: float | None = None


class Outage(msgspec.Struct, frozen=True):
    """A builder that is out of service ``since`` a moment of the epoch, and the last failure's ``reason``."""

    since: float
    reason: str


def read(settings: Settings, tree: Tree) -> Record | None:
    """Give the record; None if there is none, or none that can be read: then failures are counted from 0."""
    content = tree.read(Paths(settings).failures)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write(settings: Settings, tree: Tree, record: Record) -> None:
    """Keep ``record``, readable by all: it holds no secret."""
    tree.write(Paths(settings).failures, msgspec.json.encode(record) + b"\n", owner=ROOT)


def outage(settings: Settings, tree: Tree) -> Outage | None:
    """Say since when, and why, the builder is out of service; None if it is not."""
    record = read(settings, tree) if settings.breaker else None
    return Outage(record.since, record.reason) if record and record.since is not None else None
