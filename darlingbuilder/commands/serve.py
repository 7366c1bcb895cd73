"""``serve``: run the builder until told to stop; what the unit starts."""

import os
import signal
import threading
from argparse import Namespace
from contextlib import suppress

from darlingbuilder.adapters.systemd import notify
from darlingbuilder.commands.context import Context
from darlingbuilder.core import lock, log, serving
from darlingbuilder.core.errors import BuilderError, ExitCode, SystemdError
from darlingbuilder.steps.converge import told
from darlingbuilder.steps.draining import AT_ONCE
from darlingbuilder.steps.ondemand import OnDemand
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.renewal import Renewal
from darlingbuilder.steps.running import Builder
from darlingbuilder.steps.sharing.sharing import Sharing

_MICROSECONDS = 1e6
_DEFAULT_INTERVAL = 5.0
_LONGEST_INTERVAL = 5.0


def run(context: Context, _arguments: Namespace) -> ExitCode:
    """Boot, serve, and on SIGTERM or Ctrl-C drain and shut down. Ends with an error when the builder dies."""
    settings = context.require_builder()
    _refuse_second(context)
    sharing = Sharing(settings, context.world) if settings.shares_store else None
    builder = Builder(settings, context.world, notify, sharing)
    hurry = threading.Event()
    signal.signal(AT_ONCE, lambda *_: hurry.set())
    try:
        _prepare(context)
        sshd, corrections = builder.boot()
        way = sharing.way.value if sharing and sharing.way else None
        notify("READY=1", f"STATUS={serving.told(settings.port, corrections, shared_by=way)}")
        log.info("serving", port=settings.port, container=context.world.darling.server(), shared_by=way)
        builder.watch(sshd, seconds=_interval())
    except KeyboardInterrupt:
        _heed_no_further_signal()
        notify("STOPPING=1")
        log.info("draining", grace=0 if hurry.is_set() else settings.grace)
        builder.drain(hurry.is_set)
    finally:
        _heed_no_further_signal()
        builder.shutdown()
    log.info("stopped")
    return ExitCode.OK


def _refuse_second(context: Context) -> None:
    """Raise BuilderError where the unit serves already: another would take over its container, and then end it."""
    if "NOTIFY_SOCKET" in os.environ:
        return  # the unit itself
    # Without systemd there is no unit that could be disturbed.
    with suppress(SystemdError):
        state = context.world.systemd.unit(context.settings.names.unit)
        if state.main_pid not in {0, os.getpid()}:
            raise BuilderError(
                f"{context.settings.names.unit} serves already, as process {state.main_pid}",
                hint="stop it first: darlingbuilder stop; or, to see what it says: darlingbuilder logs -f",
            )


def _prepare(context: Context) -> None:
    """Do what comes before the boot, if the settings ask for it."""
    if context.settings.ephemeral:
        _begin_anew(context)
    if context.settings.on_demand:
        # One that turned connections away is not to lead them to an sshd that is still being tried.
        OnDemand(context.settings, context.world).hold()


def _begin_anew(context: Context) -> None:
    """Make a new prefix, and a store that holds Nix alone: nothing that a build has left is there afterwards."""
    notify("STATUS=making a new prefix and an empty store")
    renewal = Renewal(context.settings, context.world, keep_store=False)
    # Somebody's «init» may be about to end.
    with context.locked("serve", seconds=lock.PATIENCE):
        renewal.prepare()
        context.world.darling.shutdown()
        renewal.make(build(context.config, context.world), announce=told)


def _heed_no_further_signal() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _once_is_enough)


def _once_is_enough(_number: int, _frame: object) -> None:
    """Ignore a second signal: a handler, unlike SIG_IGN, is not inherited by the launcher."""


def _interval() -> float:
    """Half the watchdog's time, as sd_watchdog_enabled(3) advises; short enough to notice a dead sshd."""
    told = os.environ.get("WATCHDOG_USEC", "")
    return min(int(told) / _MICROSECONDS / 2, _LONGEST_INTERVAL) if told.isdigit() else _DEFAULT_INTERVAL
