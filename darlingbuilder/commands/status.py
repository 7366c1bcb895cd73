"""``status``: what there is, and how it differs from what should be."""

from argparse import Namespace
from collections.abc import Sequence

import msgspec

from darlingbuilder.adapters.systemd import UnitState
from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core import size
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, ExitCode
from darlingbuilder.core.note import Note
from darlingbuilder.core.paths import UNIT
from darlingbuilder.steps import limits
from darlingbuilder.steps.converge import Found, survey
from darlingbuilder.steps.ownership import pending
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.usage import usage


class DriftView(msgspec.Struct, frozen=True):
    """One difference, as ``--json`` gives it."""

    what: str
    detail: str


class NoteView(msgspec.Struct, frozen=True):
    """One remark, which is no difference."""

    what: str
    detail: str
    hint: str


class StepView(msgspec.Struct, frozen=True):
    """One step: converged, drifted, or not to be checked because of ``error``."""

    step: str
    drift: list[DriftView]
    error: str | None
    hint: str | None


class StoreView(msgspec.Struct, frozen=True):
    """Bytes of the guest's store: its own, the host's that it shares, and what is free where it lies."""

    own: int
    shared: int
    free: int


class StatusView(msgspec.Struct, frozen=True):
    """What ``status --json`` prints. ``container``: host pid of its server; ``since``: epoch seconds."""

    unit: str
    state: str
    since: float | None
    message: str
    restarts: int
    container: int | None
    store: StoreView | None
    port: int
    prefix: str
    converged: bool
    steps: list[StepView]
    notes: list[NoteView]


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print the state; the exit code says whether it is as it should be."""
    if context.marker is None:
        found = [Found("settings", [Drift(context.called.settings.state, "holds no builder")])]
    else:
        found = survey(build(context.config, context.world).steps)
        changed = pending(context.marker, context.called)
        found = [Found("settings", changed), *found[1:]] if changed else found
    view = _view(context, found)
    if arguments.json:
        say_json(view)
    else:
        _print(view)
        show_found(found, diffs=False)
        for note in view.notes:
            say(f"  note  {note.what}: {note.detail}\n        {note.hint}")
    return ExitCode.OK if view.converged else ExitCode.DRIFT


def show_found(found: Sequence[Found], *, diffs: bool) -> None:
    """Print what a survey found, a line a difference; ``diffs`` adds those of texts."""
    for step in found:
        if step.converged:
            say(f"  ok    {step.step}")
        if step.error:
            say(f"  error {step.step}: {step.error}\n        {step.error.hint}")
        for drift in step.drift:
            say(f"  drift {step.step}: {drift.what}: {drift.detail}")
            if diffs and drift.diff:
                say("\n".join(f"        {line}" for line in drift.diff.splitlines()))


def _notes(context: Context, state: UnitState | None) -> list[Note]:
    """List what is worth knowing of the unit, if there is a builder and systemd has told its ``state``."""
    return limits.notes(context.settings, context.world.host, state) if context.marker and state else []


def _view(context: Context, found: Sequence[Found]) -> StatusView:
    state = _unit(context)
    return StatusView(
        unit=UNIT,
        state=f"{state.activity.value} ({state.sub})" if state else "unknown: systemd does not answer",
        since=(state.since or None) if state else None,
        message=state.status_text if state else "",
        restarts=state.restarts if state else 0,
        container=context.world.darling.server(),
        store=_store(context),
        port=context.settings.port,
        prefix=str(context.settings.prefix_path),
        converged=all(step.converged for step in found),
        steps=[_step(step) for step in found],
        notes=[NoteView(note.what, note.detail, note.hint) for note in _notes(context, state)],
    )


def _store(context: Context) -> StoreView | None:
    found = usage(context.settings, context.world) if context.marker else None
    return StoreView(found.own, found.shared, found.free) if found else None


def _unit(context: Context) -> UnitState | None:
    try:
        return context.world.systemd.unit(UNIT)
    except BuilderError:
        return None


def _step(found: Found) -> StepView:
    return StepView(
        step=found.step,
        drift=[DriftView(drift.what, drift.detail) for drift in found.drift],
        error=str(found.error) if found.error else None,
        hint=found.error.hint if found.error else None,
    )


def _print(view: StatusView) -> None:
    say(f"{view.unit}: {view.state}{f', {view.message}' if view.message else ''}")
    say(f"container: {f'up (pid {view.container})' if view.container else 'down'}; prefix {view.prefix}")
    say(f"sshd: 127.0.0.1:{view.port}")
    if view.store:
        own, shared, free = (size.told(one) for one in (view.store.own, view.store.shared, view.store.free))
        say(f"store: {own} of its own, {shared} shared with this machine; {free} free")
