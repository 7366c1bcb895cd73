"""``start``, ``stop`` and ``restart``: the service, through systemd, each job awaited."""

from argparse import Namespace

from darlingbuilder.commands.context import Context, say
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import UNIT
from darlingbuilder.steps.ondemand import OnDemand


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the verb says, and say how it ended."""
    settings, systemd = context.require_builder(), context.world.systemd
    verb = arguments.verb.name
    if settings.on_demand:
        _do_on_demand(verb, OnDemand(settings, context.world))
    else:
        {"start": systemd.start, "stop": systemd.stop, "restart": systemd.restart}[verb](UNIT)
    say(f"{UNIT} is {'stopped' if verb == 'stop' else 'running'}.")
    return ExitCode.OK


def _do_on_demand(verb: str, door: OnDemand) -> None:
    if verb == "stop":
        # Not even a connection starts it again.
        door.close()
        return
    if door.check():
        door.close()
        door.reopen()
    elif verb == "restart":
        door.rest()
    door.wake()
