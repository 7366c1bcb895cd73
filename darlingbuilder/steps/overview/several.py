"""Every builder of this host at one look, each with its own settings and its own container."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import config
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode
from darlingbuilder.core.instance import DEFAULT, Instance
from darlingbuilder.core.marker import Marker
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.look import look
from darlingbuilder.steps.overview import overview
from darlingbuilder.steps.overview.overview import Overview


class OneOfSeveral(msgspec.Struct, frozen=True):
    """A builder of this host. ``overview`` is null where it cannot be looked at, and ``error`` says why.

    ``code``: what ``status`` of it alone would exit with.
    """

    instance: str
    overview: Overview | None
    error: str | None
    hint: str | None
    code: int


def look_at_all(host: Tree, worlds: Callable[[Settings], World]) -> Iterator[OneOfSeveral]:
    """Look at one after the other; ``worlds`` gives each the world of its settings."""
    for name in neighbours.names(host) or [DEFAULT]:
        try:
            seen = _overview(host, name, worlds)
        except BuilderError as error:
            yield OneOfSeveral(name, None, str(error), error.hint, error.exit_code)
        else:
            yield OneOfSeveral(name, seen, None, None, ExitCode.OK if seen.converged else ExitCode.DRIFT)


def worst(codes: Iterator[int]) -> ExitCode:
    """Give the exit code for all: that of the first that cannot be looked at, else whether one of them differs."""
    found = sorted(set(codes), key=lambda code: (code == ExitCode.OK, code == ExitCode.DRIFT, code))
    return next(one for one in ExitCode if one == (found or [ExitCode.OK])[0])


def _overview(host: Tree, name: str, worlds: Callable[[Settings], World]) -> Overview:
    marker = neighbours.made(host, name)
    called, wrong = _called(marker, name)
    settings = marker.config.settings if marker else called.settings
    world = worlds(settings)
    return overview.of(settings, world, look(called, marker, world, wrong), made=marker is not None)


def _called(marker: Marker | None, name: str) -> tuple[Config, ConfigError | None]:
    """Give what the settings file says now; no variable of the caller's is about all of them.

    Where it cannot be used, that is why, and the builder is as it was made.
    """
    file = Path(marker.config_file) if marker else Instance(name).settings_file
    named = file if file != Instance(name).settings_file else None
    try:
        return config.load(file=named, environment={}, flags={"instance": name}), None
    except ConfigError as error:
        if marker is None:
            raise
        return marker.config, error
