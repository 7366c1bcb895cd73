"""The context of a call on a machine in use, with a builder or without one."""

from collections.abc import Iterator
from contextlib import contextmanager

from darlingbuilder.commands.context import Context
from darlingbuilder.core import marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.paths import Paths
from darlingbuilder.steps.plan import build
from tests.fakes.furnished import chosen, furnish, scratch
from tests.fakes.world import FakeWorld, fake_world


@contextmanager
def machine() -> Iterator[FakeWorld]:
    """Give a machine in use, without a builder."""
    with scratch() as root:
        yield furnish(fake_world(root))


def called(world: FakeWorld, config: Config | None = None) -> Context:
    """Give what a verb is given when it is called with ``config``."""
    config = config or chosen()
    return Context(config, marker.read(world.host, Paths(config.settings).marker), world)


def make(world: FakeWorld, config: Config | None = None) -> FakeWorld:
    """Make a builder."""
    for step in build(config or chosen(), world).steps:
        step.apply()
    return world
