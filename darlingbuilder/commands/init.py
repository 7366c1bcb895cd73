"""``init``: converge the machine to its settings, or say how it differs."""

import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress

from darlingbuilder.commands import progress
from darlingbuilder.commands.context import Context, confirm
from darlingbuilder.commands.status import show_found
from darlingbuilder.core import lock, log
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.steps import clients, exposure, limits, preflight, store
from darlingbuilder.steps.converge import converge, survey, told
from darlingbuilder.steps.ownership import Ownership
from darlingbuilder.steps.plan import Plan, build
from darlingbuilder.verbs import as_typed

_WITH_FLAKES = " --extra-experimental-features 'nix-command flakes'"


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Make the builder what the settings say, from whatever is there."""
    plan = build(context.called, context.world)
    if arguments.dry_run:
        return _show(plan, context.called.settings.instance)
    # Before the machine is looked at: seen with the wrong settings, the builder's own sshd is a stranger on the port.
    Ownership(context.called, context.world).refuse()
    preflight.refuse(preflight.preflight(context.called.settings, context.world))
    return make(context, plan)


def make(context: Context, plan: Plan) -> ExitCode:
    """Converge to ``plan`` whatever the machine lacks; as the unit's hook, all but the service itself."""
    hook = _is_hook()
    with progress.steps() as at:
        changed = _converged(context, plan, at, hook=hook)
    if not hook:
        confirm(as_typed(_farewell(context, changed), context.called.settings.instance))
    return ExitCode.OK


def _converged(context: Context, plan: Plan, at: Callable[[str], None], *, hook: bool) -> list[str]:
    """Converge, tell ``at`` which step is applied, and give all that were."""
    changed: list[str] = []

    def announce(step: str, drift: Sequence[Drift]) -> None:
        changed.append(step)
        told(step, drift)
        at(step)

    # The hook may meet an «init» that is about to end; a person is told at once who is at work.
    purpose, patience = (lock.STARTING, lock.PATIENCE) if hook else ("init", 0)
    place = context.world.host.real(context.called.settings.names.lock)
    with lock.held(place, purpose=purpose, seconds=patience):
        for step in plan.files:
            converge(step, announce=announce)
    _warn(context)
    if not hook:
        # Outside the lock: the start runs this very command as its hook.
        converge(plan.service, announce=announce)
        if plan.service.name in changed:
            _recheck(plan)
    return changed


def _show(plan: Plan, instance: str) -> ExitCode:
    found = survey(plan.steps)
    show_found(found, diffs=True, instance=instance)
    return ExitCode.OK if all(step.converged for step in found) else ExitCode.DRIFT


def _warn(context: Context) -> None:
    state = context.world.systemd.unit(context.called.settings.names.unit)
    settings = context.called.settings
    host = context.world.host
    found = (*limits.notes(settings, host, state), *store.notes(settings), *exposure.notes(settings))
    for note in (*found, *clients.notes(settings, host)):
        log.warning(note.what, what=note.detail, do=note.hint)


def _recheck(plan: Plan) -> None:
    """See what the start has made of it: a new Nix that cannot build is given up there. Raises BuilderError."""
    for found in survey(plan.files):
        if found.drift:
            left = found.drift[0]
            raise BuilderError(
                f"{found.step}: the builder runs, but {left.what} {left.detail}",
                hint="see why: darlingbuilder logs; all of it: darlingbuilder status",
            )


def _is_hook() -> bool:
    """Whether systemd itself runs this process, which then starts the very unit, or (NixOS) is to leave it down."""
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def _farewell(context: Context, changed: Sequence[str]) -> str:
    if not changed:
        return "The builder is as it should be; nothing was changed."
    port = context.called.settings.port
    runs = "runs" if not context.called.settings.on_demand else "starts with the first connection"
    if not context.called.settings.guest_nix:
        return (
            f"The builder {runs} on 127.0.0.1:{port}, for programs alone: the guest builds nothing. Next:\n"
            "  darlingbuilder shell /nix/store/…/bin/PROGRAM"
        )
    return f"The builder {runs} on 127.0.0.1:{port}. Next:\n  darlingbuilder test\n  {_example(context)}"


def _example(context: Context) -> str:
    """Give a build to try, with what this machine's Nix has to be told for it."""
    # Only here: reading the table takes time that a converged run need not spend.
    from darlingbuilder.core import compatibility  # noqa: PLC0415 - as above

    enabled = ""
    # It is an example: a Nix that does not answer is told of elsewhere.
    with suppress(BuilderError):
        enabled = str(context.world.nix.settings().get("experimental-features", ""))
    # Asked by the «nix» command, Nix always names nix-command itself; whoever has flakes has that as well.
    return compatibility.example() + ("" if "flakes" in enabled else _WITH_FLAKES)
