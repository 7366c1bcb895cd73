"""The builder at a stand for what changes it as a whole: its builds have ended, and no connection starts it again."""

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.ondemand import OnDemand


def is_wanted(settings: Settings, world: World) -> bool:
    """Whether the service runs, or a connection would start it."""
    names = settings.names
    return any(world.systemd.unit(unit).activity is not Activity.INACTIVE for unit in (names.unit, names.socket))


def bring_down(settings: Settings, world: World) -> None:
    """Stop the service, and end any container that was booted without it. The service's step undoes it."""
    OnDemand(settings, world).close()
    world.darling.shutdown()


def make_way(settings: Settings, world: World) -> None:
    """Bring down what runs; a service that is about to start is left to it, for this may be its own hook."""
    if world.systemd.unit(settings.names.unit).activity is Activity.ACTIVE:
        OnDemand(settings, world).close()
    world.darling.shutdown()
