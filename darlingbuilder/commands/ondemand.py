"""``on-demand``: what the units of a builder on demand call when the proxy, or the builder itself, has ended."""

from argparse import Namespace

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.commands.context import Context
from darlingbuilder.core import log
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.commandlines import HOLD
from darlingbuilder.steps.idling import Idling
from darlingbuilder.steps.ondemand import OnDemand


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the unit asks for; neither may wait for a job of systemd's, which would wait for the unit."""
    settings = context.require_builder()
    if arguments.action == HOLD:
        OnDemand(settings, context.world).hold()
    else:
        _stop_if_idle(settings, context.world)
    return ExitCode.OK


def _stop_if_idle(settings: Settings, world: World) -> None:
    if world.systemd.unit(settings.names.unit).activity is not Activity.ACTIVE:
        # Or it would come back, and have a builder started that nobody has asked for.
        world.systemd.begin_stop(settings.names.proxy)
    elif need := Idling(settings, world).need():
        log.info("the builder stays up", why=need)
        OnDemand(settings, world).knock()
    else:
        log.info("the builder is idle and stops", idle_timeout=settings.idle_timeout)
        # The proxy first, as above.
        for unit in (settings.names.proxy, settings.names.unit):
            world.systemd.begin_stop(unit)
