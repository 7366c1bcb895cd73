"""``start``, ``stop`` and ``restart``: the service, through systemd, each job awaited."""

from argparse import Namespace

from darlingbuilder.commands.context import Context, say
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import UNIT


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the verb says, and say how it ended."""
    context.require_builder()
    systemd = context.world.systemd
    verb = arguments.verb.name
    {"start": systemd.start, "stop": systemd.stop, "restart": systemd.restart}[verb](UNIT)
    say(f"{UNIT} is {'stopped' if verb == 'stop' else 'running'}.")
    return ExitCode.OK
