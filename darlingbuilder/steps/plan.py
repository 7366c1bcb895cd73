"""The table of contents of the program: which steps make a builder, and in which order."""

from dataclasses import dataclass

from darlingbuilder.adapters.world import World
from darlingbuilder.core.config import Config
from darlingbuilder.steps.compat import Compat
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.nix import Nix
from darlingbuilder.steps.ownership import Ownership
from darlingbuilder.steps.prefix import Prefix
from darlingbuilder.steps.registration import Registration
from darlingbuilder.steps.service import Service
from darlingbuilder.steps.sshd import Sshd
from darlingbuilder.steps.step import Step
from darlingbuilder.steps.store import Store
from darlingbuilder.steps.units import Units
from darlingbuilder.steps.user import User


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a builder: ``files`` are what it consists of, ``service`` runs it."""

    files: tuple[Step, ...]
    service: Step

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they are applied."""
        return (*self.files, self.service)


def build(config: Config, world: World, *, purge: bool = False) -> Plan:
    """Give the plan of the builder that ``config`` describes; ``purge``: its withdrawal takes the keys, too."""
    settings = config.settings
    return Plan(
        files=(
            Ownership(config, world),
            User(settings, world),
            Prefix(settings, world, purge=purge),
            Compat(settings, world),
            Keys(settings, world, purge=purge),
            Sshd(settings, world),
            Nix(settings, world),
            Store(settings, world),
            Units(config, world),
            Registration(settings, world),
        ),
        service=Service(settings, world),
    )
