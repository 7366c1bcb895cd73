"""``uninstall``: withdraw everything that ``init`` made."""

from argparse import Namespace

from darlingbuilder.commands.context import Context, say
from darlingbuilder.core import lock, log
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.core.paths import LOCK
from darlingbuilder.steps.converge import withdraw
from darlingbuilder.steps.plan import build


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Revert every step, the last first. Without a marker nothing is ours, and nothing is done."""
    with lock.held(LOCK, purpose="uninstall", seconds=0):
        if context.marker is None:
            say(f"There is no builder in {context.called.settings.state}; nothing to do.")
            return ExitCode.OK
        steps = build(context.config, context.world, purge=arguments.purge).steps
        # The service first and the marker last, and that only if all else is gone.
        errors = withdraw(steps[1:], announce=_announce) or withdraw(steps[:1], announce=_announce)
    LOCK.unlink(missing_ok=True)
    if errors:
        raise BuilderError(
            "\n".join(f"{error}\n  {error.hint}" for error in errors),
            hint="the rest is withdrawn; mend the above, then run «darlingbuilder uninstall» again",
        )
    say(
        "The builder is gone."
        + ("" if arguments.purge else f" Its keys are kept: {context.settings.key} and the state's keys/.")
    )
    return ExitCode.OK


def _announce(step: str) -> None:
    log.info("withdrawing", step=step)
