"""``start``, ``stop`` and ``restart``: the service, through systemd, each job awaited."""

from argparse import Namespace
from collections.abc import Callable, Mapping

from darlingbuilder.adapters.systemd import Systemd
from darlingbuilder.commands.context import Context, confirm
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.draining import AT_ONCE
from darlingbuilder.steps.ondemand import OnDemand

# The sub-states in which a service that fails waits for its next start; a job to start it would wait with it.
_WAITING = ("auto-restart", "auto-restart-queued")
_HOOK = "start-pre"
_DONE = {"start": "running", "stop": "stopped", "restart": "running"}


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the verb says, and say how it ended."""
    settings = context.require_builder()
    verb, systemd, unit = arguments.verb.name, context.world.systemd, settings.names.unit
    breaker = Breaker(settings, context.world)
    is_held_up = breaker.pause() > 0
    if verb != "stop":
        breaker.forget()
    if verb != "start" and arguments.now:
        # Before the stop, or while a drain goes on: serve then waits for no build.
        systemd.send(unit, AT_ONCE)
    if settings.on_demand:
        _do_on_demand(verb, OnDemand(settings, context.world))
    else:
        _do(verb, systemd, unit, is_held_up=is_held_up)
    confirm(f"{unit} is {_DONE[verb]}.")
    return ExitCode.OK


def _do(verb: str, systemd: Systemd, unit: str, *, is_held_up: bool) -> None:
    orders: Mapping[str, Callable[[str], None]] = {
        "start": _start(systemd, unit, is_held_up=is_held_up),
        "stop": systemd.stop,
    }
    orders.get(verb, systemd.restart)(unit)


def _start(systemd: Systemd, unit: str, *, is_held_up: bool) -> Callable[[str], None]:
    sub = systemd.unit(unit).sub
    return systemd.restart if sub in _WAITING or (sub == _HOOK and is_held_up) else systemd.start


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
