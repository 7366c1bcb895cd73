"""``logs``: what the journal has of the service."""

from argparse import Namespace

from darlingbuilder.adapters import process
from darlingbuilder.commands.context import Context
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import UNIT


def run(_context: Context, arguments: Namespace) -> ExitCode:
    """Become journalctl."""
    way = "--follow" if arguments.follow else "--no-pager"
    process.become("journalctl", "--unit", UNIT, "--no-hostname", way, start=process.Start())
