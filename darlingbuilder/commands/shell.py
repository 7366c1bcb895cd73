"""``shell``: a command, or a shell, in the running guest."""

import os
from argparse import Namespace

from darlingbuilder.commands.context import Context
from darlingbuilder.core.errors import DarlingError, ExitCode


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Become the launcher, as the service user, with a clean environment."""
    context.require_builder()
    if context.world.darling.server() is None:
        # A container that boots here would live on outside the service, its limits and its store.
        raise DarlingError("the container is down", hint="start it: darlingbuilder start")
    words = arguments.command
    # argparse leaves it there; many write it before a command of somebody else's.
    command = words[1:] if words[:1] == ["--"] else words
    context.world.darling.become(*command, terminal=os.environ.get("TERM", "dumb"))
