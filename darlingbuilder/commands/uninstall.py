"""``uninstall``: withdraw everything that ``init`` made."""

from argparse import Namespace
from pathlib import Path

from darlingbuilder.commands.context import Context, confirm
from darlingbuilder.core import log
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.core.paths import Paths
from darlingbuilder.steps.converge import withdraw
from darlingbuilder.steps.plan import build


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Revert every step, the last first. Without a marker nothing is ours, and nothing is done."""
    with context.locked("uninstall") as held:
        errors = _withdrawn(context, purge=arguments.purge) if context.marker else []
        held.remove()
    if errors:
        raise BuilderError(
            "\n".join(f"{error}\n  {error.hint}" for error in errors),
            hint="the rest is withdrawn; mend the above, then run «darlingbuilder uninstall» again",
        )
    confirm(_farewell(context, purge=arguments.purge))
    return ExitCode.OK


def _withdrawn(context: Context, *, purge: bool) -> list[BuilderError]:
    steps = build(context.config, context.world, purge=purge).steps
    # The service first and the marker last, and that only if all else is gone.
    return withdraw(steps[1:], announce=_announce) or withdraw(steps[:1], announce=_announce)


def _announce(step: str) -> None:
    log.info("withdrawing", step=step)


def _farewell(context: Context, *, purge: bool) -> str:
    if context.marker is None:
        return (
            f"There is no builder in {context.called.settings.state}; nothing to do.{_left(context) if purge else ''}"
        )
    if purge:
        return "The builder is gone."
    kept = [f"its keys: {context.settings.key} and the state's keys/"]
    snapshots = Paths(context.settings).snapshots
    if context.world.host.names(snapshots):
        kept.append(f"its snapshots: {snapshots}")
    return (
        f"The builder is gone. Kept: {'; '.join(kept)}. The next init takes them up again, and uninstall --purge "
        "after it removes them."
    )


def _left(context: Context) -> str:
    """Say that keys are left of a builder: without one, it is not known whether they are ours to remove."""
    key = context.called.settings.key
    if context.world.host.attributes(Path(key)) is None:
        return ""
    return f" {key} stays: remove it by hand, or make the builder anew by init, and purge that."
