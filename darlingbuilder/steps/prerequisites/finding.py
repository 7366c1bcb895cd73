"""What a check of the machine is, what it is given, and what it finds."""

import datetime as dt
import enum
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters import idmapped, process, tcp
from darlingbuilder.adapters.world import World
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.settings import Settings

Figure = int | float | str | None


class Level(enum.Enum):
    """How bad a finding is. With a failure there can be no builder."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Cost(enum.Enum):
    """What a check takes: ``init`` makes the cheap ones each time, ``doctor`` makes all."""

    CHEAP = "a few milliseconds"
    DEAR = "a program that takes its time, or something that a step checks anyway"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a probe has seen. ``hint``: what to do, empty if it is right; ``figure``: what it has measured."""

    level: Level
    detail: str
    hint: str = ""
    figure: Figure = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with the name of its check and the reason for which that is made; ``link``: where to read more."""

    name: str
    level: Level
    detail: str
    reason: str
    hint: str
    figure: Figure = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is looked at: the world, and what is true of this process and of its machine."""

    settings: Settings
    world: World
    uid: int = field(default_factory=os.geteuid)
    processor: str = field(default_factory=lambda: os.uname().machine)
    kernel: str = field(default_factory=lambda: os.uname().release)
    find: Callable[[str], Path | None] = process.find
    resolves: Callable[[str, float], bool] = tcp.resolves
    shareable: Callable[[Path, Owner], str] = idmapped.trial
    today: dt.date = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC).date())


@dataclass(frozen=True, slots=True)
class Check:
    """One prerequisite. ``probe`` only reads, ends in bounded time, and raises at most BuilderError or OSError."""

    name: str
    reason: str
    probe: Callable[[Surroundings], Verdict]
    cost: Cost = Cost.CHEAP
    link: str = ""

    def find(self, surroundings: Surroundings) -> Finding:
        """Give what the probe sees; what it cannot see is a failure."""
        try:
            verdict = self.probe(surroundings)
        except BuilderError as error:
            verdict = failure(str(error), error.hint)
        except OSError as error:
            verdict = failure(f"cannot be looked at: {error}", "run it as root; dmesg may say more")
        return found(self.name, self.reason, self.link, verdict)


def found(name: str, reason: str, link: str, verdict: Verdict) -> Finding:
    """Put a verdict under the name of what was looked at."""
    return Finding(name, verdict.level, verdict.detail, reason, verdict.hint, verdict.figure, link)


def ok(detail: str, figure: Figure = None) -> Verdict:
    """Give the verdict that all is well."""
    return Verdict(Level.OK, detail, figure=figure)


def warning(detail: str, hint: str, figure: Figure = None) -> Verdict:
    """Give the verdict that something may go wrong."""
    return Verdict(Level.WARNING, detail, hint, figure)


def failure(detail: str, hint: str, figure: Figure = None) -> Verdict:
    """Give the verdict that it cannot work."""
    return Verdict(Level.FAILURE, detail, hint, figure)
