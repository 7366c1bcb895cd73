"""What every verb is given: the settings as called, the marker, and the world."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from darlingbuilder.adapters import real
from darlingbuilder.adapters.world import World
from darlingbuilder.core import lock, log, marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import BuilderError, ConfigError, ForeignFileError
from darlingbuilder.core.lock import Lock
from darlingbuilder.core.marker import Marker
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree


@dataclass(frozen=True, slots=True)
class Context:
    """``called``: the settings that file, environment and flags give now; ``marker``: those of the builder.

    ``worlds`` gives the other builders of this host theirs. ``wrong``: why ``called`` is none of the call's, but what
    the builder was made with.
    """

    called: Config
    marker: Marker | None
    world: World
    worlds: Callable[[Settings], World] = real.world
    wrong: ConfigError | None = None

    @property
    def config(self) -> Config:
        """The settings that every verb but ``init`` works with: the builder's own, if there is one."""
        return self.marker.config if self.marker else self.called

    @property
    def settings(self) -> Settings:
        """The settings of ``config``."""
        return self.config.settings

    def locked(self, purpose: str, *, seconds: float = 0) -> AbstractContextManager[Lock]:
        """Hold the lock of whoever changes the builder, waiting ``seconds`` for it. Raises LockedError."""
        return lock.held(self.world.host.real(self.settings.names.lock), purpose=purpose, seconds=seconds)

    def require_builder(self) -> Settings:
        """Give the builder's settings. Raises BuilderError if there is no builder."""
        if self.marker is None:
            raise BuilderError(
                f"there is no builder in {self.called.settings.state}", hint="make one: darlingbuilder init"
            )
        return self.settings


def of(called: Config, *, as_called: bool, wrong: ConfigError | None = None, in_any_case: bool = False) -> Context:
    """Give the context of a call on this machine; ``as_called``: in the world of its own settings.

    ``in_any_case``: ``called`` stands for a marker that cannot be read.
    """
    try:
        found = marker.read(Tree(Path("/")), Paths(called.settings).marker)
    except ForeignFileError as error:
        if not in_any_case:
            raise
        log.warning("the marker cannot be read; the settings hold as they are now", why=error, do=error.hint)
        found = marker.of(called)
    chosen = found.config if found and not as_called else called
    return Context(called, found, real.world(chosen.settings), wrong=wrong)


def here() -> Path:
    """Give the working directory; the root where it was removed, so that what is named from there is not found."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def say(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")


def confirm(text: str) -> None:
    """Print that what was asked for is done; with --quiet, that nothing is wrong says so."""
    if not log.is_quiet():
        say(text)


def say_json(value: object) -> None:
    """Print a result for a program."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
