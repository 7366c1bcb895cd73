"""``breaker``: what the unit runs before a start, after an end with an error, and whenever it has begun to serve."""

import os
import time
from argparse import Namespace

from darlingbuilder.adapters import journal
from darlingbuilder.commands.context import Context
from darlingbuilder.core import ending, log
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.steps.breaker import Breaker

_SUCCESS = "success"


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Wait, count the failure that systemd tells of in the environment (systemd.exec(5)), or put the builder back."""
    breaker = Breaker(context.require_builder(), context.world)
    if arguments.event == "starts":
        _hold_up(breaker)
    elif arguments.event == "serves":
        breaker.serves()
    elif os.environ.get("SERVICE_RESULT", _SUCCESS) != _SUCCESS:
        breaker.failed(_reason(context.settings.names.unit))
    return ExitCode.OK


def _hold_up(breaker: Breaker) -> None:
    """Hold up the next of many starts that have failed; a stop of the unit ends this at any time."""
    if seconds := breaker.pause():
        log.info("waiting before another start", seconds=seconds)
        time.sleep(seconds)


def _reason(unit: str) -> str:
    """Give the last run's own words, or else systemd's."""
    said = journal.last_error(unit, os.environ.get("INVOCATION_ID", ""))
    if said:
        return said
    code, status = os.environ.get("EXIT_CODE", ""), os.environ.get("EXIT_STATUS", "")
    how = ending.by_status(int(status)) if status.isdigit() else f"signal {status}"
    return f"{os.environ['SERVICE_RESULT']} ({how})" if code else os.environ["SERVICE_RESULT"]
