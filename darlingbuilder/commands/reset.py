"""``reset``: a new prefix and an empty store for the builder that there is; keys and settings stay."""

import sys
from argparse import Namespace

from darlingbuilder.commands.context import Context, confirm
from darlingbuilder.core.errors import BuilderError, ExitCode, UsageError
from darlingbuilder.steps import standstill
from darlingbuilder.steps.converge import converge, told
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.renewal import Renewal


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Stop the service, begin anew, and start it again. What is interrupted, ``reset`` or ``init`` ends."""
    settings = context.require_builder()
    if not arguments.yes:
        _confirm(keep_store=arguments.keep_store)
    plan = build(context.config, context.world)
    renewal = Renewal(settings, context.world, keep_store=arguments.keep_store)
    with context.locked("reset"):
        renewal.prepare()
        standstill.bring_down(settings, context.world)
        renewal.make(plan, announce=told)
    # Outside the lock: the start runs «init» as its hook.
    converge(plan.service, announce=told)
    kept = "the store was kept" if arguments.keep_store else "its store holds Nix alone"
    confirm(f"The builder has a new prefix; {kept}. See whether it works: darlingbuilder test")
    return ExitCode.OK


def _confirm(*, keep_store: bool) -> None:
    """Ask the person at the terminal. Raises UsageError if there is none, BuilderError without a yes."""
    if not sys.stdin.isatty():
        raise UsageError(
            "reset asks before it removes anything, and nobody is there to answer", hint="to mean it: reset --yes"
        )
    lost = "" if keep_store else " and everything in its store but Nix"
    sys.stderr.write(f"The builder's prefix{lost} will be removed; running builds may end first. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise BuilderError("not confirmed; nothing was changed", hint="to mean it, answer «y», or: reset --yes")
