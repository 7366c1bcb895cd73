"""A machine on which one can make a builder, be interrupted, and look what is wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from darlingbuilder.core.config import Config
from darlingbuilder.steps.converge import converge, survey, withdraw
from darlingbuilder.steps.plan import build
from tests.fakes.furnished import chosen, furnish, scratch, seen
from tests.fakes.fuse import Fuse, fused_world
from tests.fakes.world import FakeWorld


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine in use, and what was there before any builder."""

    world: FakeWorld
    fuse: Fuse
    before: dict[str, tuple[int, str]]

    def init(self, config: Config | None = None) -> None:
        """Converge to ``config``."""
        for step in build(config or chosen(), self.world).steps:
            converge(step, announce=lambda *_: None)

    def uninstall(self, config: Config | None = None) -> None:
        """Withdraw everything, the keys too."""
        steps = build(config or chosen(), self.world, purge=True).steps
        assert withdraw(steps, announce=lambda _: None) == []

    def wrong(self, config: Config | None = None) -> list[str]:
        """Name the steps that are not as they should be."""
        return [found.step for found in survey(build(config or chosen(), self.world).steps) if not found.converged]

    def is_as_before(self) -> bool:
        """Whether nothing is left of any builder."""
        return seen(self.world.host.root) == self.before

    def interrupted(self, act: Callable[["Machine"], None], moment: int) -> bool:
        """Interrupt ``act`` when ``moment`` things have been done; false if it has ended before."""
        self.fuse.left = moment
        try:
            act(self)
        except KeyboardInterrupt:
            return True
        self.fuse.left = None
        return False


@contextmanager
def machine() -> Iterator[Machine]:
    """Give a machine without a builder."""
    with scratch() as directory:
        fuse = Fuse()
        world = furnish(fused_world(directory, fuse))
        yield Machine(world, fuse, seen(world.host.root))
