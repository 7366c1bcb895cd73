"""A builder begun anew: another prefix and, if that is wanted, a store that holds Nix alone; the keys stay."""

from dataclasses import dataclass

from darlingbuilder.adapters.world import World
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.converge import Announce, converge
from darlingbuilder.steps.exchange import Exchange
from darlingbuilder.steps.nixsource import Source
from darlingbuilder.steps.plan import Plan


@dataclass(frozen=True, slots=True)
class Renewal:
    """The way to a builder whose steps ``init`` makes anew. ``keep_store``: but for the store."""

    settings: Settings
    world: World
    keep_store: bool

    def prepare(self) -> None:
        """Make sure of what the new builder begins with. Raises BuilderError; then nothing was changed."""
        if not self.keep_store:
            Source(self.settings, self.world).keep()

    def discard(self) -> None:
        """Remove prefix and store of a builder that is down; once begun, «init» ends it."""
        exchange = Exchange(self.settings, self.world)
        store = [] if self.keep_store else exchange.store_entries()
        paths = Paths(self.settings)
        exchange.begin({}, [paths.prefix, paths.workdir, *store])

    def make(self, plan: Plan, *, announce: Announce) -> None:
        """Discard what is there, and make everything of ``plan`` but the service."""
        self.discard()
        for step in plan.files:
            converge(step, announce=announce)
