"""``status``: what there is, and how it differs from what should be."""

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.commands import screen
from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core import marker, serving, size
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.steps.converge import Found
from darlingbuilder.steps.look import look
from darlingbuilder.steps.overview import overview
from darlingbuilder.steps.overview.builds import Build
from darlingbuilder.steps.overview.overview import Overview
from darlingbuilder.steps.overview.several import OneOfSeveral, look_at_all, worst
from darlingbuilder.steps.usage import Usage
from darlingbuilder.verbs import as_typed

if TYPE_CHECKING:
    from rich.console import RenderableType

_HEADER = ("BUILDER", "STATE", "CONTAINER", "PORT", "SLOTS", "SETTINGS")
_SHORTEST_WATCH = 0.2


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print the state; the exit code says whether it is as it should be."""
    if arguments.schema:
        say_json(msgspec.json.schema(list[OneOfSeveral] if arguments.all else Overview))
        return ExitCode.OK
    if arguments.all:
        return _show_all(context, arguments)
    if arguments.watch is not None:
        return _watch(context, arguments)
    found = _look(context)
    view = _view(context, found)
    if arguments.json:
        say_json(view)
    elif screen.on_terminal():
        screen.draw(*_tables(view))
    else:
        _print(view, found)
    return ExitCode.OK if view.converged else ExitCode.DRIFT


def _show_all(context: Context, arguments: Namespace) -> ExitCode:
    if arguments.watch is not None:
        raise UsageError("--all is one look at each builder", hint="what goes on is shown by: darlingbuilder top")
    seen = list(look_at_all(context.world.host, context.worlds))
    if arguments.json:
        say_json(seen)
    elif screen.on_terminal():
        screen.draw(screen.table(map(_in_short, seen), header=_HEADER))
    else:
        say("\n".join(screen.columns([_HEADER, *map(_in_short, seen)])))
    return worst(one.code for one in seen)


def _in_short(one: OneOfSeveral) -> tuple[str, ...]:
    view = one.overview
    if view is None:
        return (one.instance, "cannot be looked at", "-", "-", "-", f"{one.error} ({one.hint})")
    used = "?" if view.slots.used is None else view.slots.used
    findings = sum(row[0] in {"drift", "error"} for row in _findings(view))
    more = as_typed("darlingbuilder status", one.instance)
    return (
        one.instance,
        view.state,
        "up" if view.container else "down",
        str(view.port),
        f"{used}/{view.slots.max}",
        f"{findings} difference(s), see: {more}" if findings else "as it should be",
    )


def show_found(found: Sequence[Found], *, diffs: bool, instance: str) -> None:
    """Print what a survey of that ``instance`` found, a line a difference; ``diffs`` adds those of texts."""
    for step in found:
        if step.converged:
            say(f"  ok    {step.step}")
        if step.error:
            say(f"  error {step.step}: {step.error}\n        {as_typed(step.error.hint, instance)}")
        for drift in step.drift:
            say(f"  drift {step.step}: {drift.what}: {drift.detail}")
            if diffs and drift.diff:
                say("\n".join(f"        {line}" for line in drift.diff.splitlines()))


def _watch(context: Context, arguments: Namespace) -> ExitCode:
    """Show the state again and again: in place on a terminal, else one after the other, JSON a line each."""
    seconds = max(arguments.watch, _SHORTEST_WATCH)
    path = Paths(context.called.settings).marker

    def now() -> tuple[Overview, Sequence[Found]]:
        # An «init» or «uninstall» in between is part of what there is to see.
        current = replace(context, marker=marker.read(context.world.host, path))
        found = _look(current)
        return _view(current, found), found

    if arguments.json:
        screen.repeat(lambda: say(msgspec.json.encode(now()[0]).decode()), seconds=seconds)
    elif screen.on_terminal():
        screen.refresh(lambda: screen.above(*_tables(now()[0])), seconds=seconds)
    else:
        screen.repeat(lambda: _print(*now()), seconds=seconds)
    return ExitCode.OK


def _look(context: Context) -> Sequence[Found]:
    return look(context.called, context.marker, context.world, context.wrong)


def _view(context: Context, found: Sequence[Found]) -> Overview:
    return overview.of(context.settings, context.world, found, made=context.marker is not None)


def _print(view: Overview, found: Sequence[Found]) -> None:
    for label, value in _rows(view):
        say(f"{label}: {value}")
    show_found(found, diffs=False, instance=view.instance)
    for note in view.notes:
        say(f"  note  {note.what}: {note.detail}\n        {as_typed(note.hint, view.instance)}")


def _tables(view: Overview) -> list["RenderableType"]:
    return [screen.table(_rows(view)), "", screen.table(_findings(view))]


def _rows(view: Overview) -> Iterator[tuple[str, str]]:
    """Say what there is, a row a thing; what is not known stands in the errors at the end."""
    yield view.unit, ", ".join(_unit(view))
    if view.corrections is not None:
        yield "corrections in force", ", ".join(view.corrections) or "none"
    up = f"up (pid {view.container}{f', booted {screen.ago(view.booted)}' if view.booted else ''})"
    yield "container", f"{up if view.container else 'down'}; prefix {view.prefix}"
    silent = "waiting for a connection" if view.waiting else "does not answer"
    yield "sshd", f"127.0.0.1:{view.port}, {view.banner or silent}"
    yield "nix", f"host {view.nix.host or 'unknown'}, guest {view.nix.guest or 'unknown'}"
    if view.store:
        yield "store", _store(view.store)
    yield "slots", f"{'?' if view.slots.used is None else view.slots.used} of {view.slots.max} in use"
    for build in view.builds:
        yield "build", _build(build)
    for key in view.keys:
        yield f"{key.name} key", f"{key.fingerprint or 'cannot be read'} {key.path}"
    yield from _others(view)
    yield "last test", _tested(view)
    if view.breaker:
        yield "out of service", f"since {screen.ago(view.breaker.since)}: {view.breaker.reason}"
    for error in view.errors:
        yield "unknown", f"{error.part}: {error.message} ({error.hint})"


def _unit(view: Overview) -> Iterator[str]:
    yield view.state
    # systemd keeps both, also of a service that was stopped in good order.
    is_down = view.state.startswith(Activity.INACTIVE.value)
    if view.since:
        yield f"{'last started' if is_down else 'since'} {screen.ago(view.since)}"
    if view.message and not is_down:
        yield serving.place(view.message)
    if view.restarts:
        yield f"{view.restarts} restart(s)"
    if view.last_end:
        when = f" {screen.ago(view.last_end.at)}" if view.last_end.at else ""
        yield f"last ended with {view.last_end.how}{when}"


def _store(store: Usage) -> str:
    own, shared, free = map(size.told, (store.own, store.shared, store.free))
    return f"{own} of its own, {shared} shared with this machine; {free} free"


def _build(build: Build) -> str:
    what = build.derivation or " ".join(build.outputs) or "a session that copies or asks"
    return f"{what}, {screen.span(time.time() - build.since)}" if build.since else what


def _others(view: Overview) -> Iterator[tuple[str, str]]:
    """Say where other machines may come, and which may build."""
    if view.exposed:
        yield "open to others", ", ".join(view.exposed)
    if view.clients:
        yield "clients", ", ".join(one.name if one.usable else f"{one.name} (not let in)" for one in view.clients)


def _tested(view: Overview) -> str:
    if view.tested is None:
        return "none"
    how = "passed" if view.tested.passed else f"failed at {view.tested.failed}"
    without = "" if view.tested.build else ", without a build"
    return f"{how}, {view.tested.seconds:.1f} s{without}, {screen.ago(view.tested.at)}"


def _findings(view: Overview) -> Iterator[tuple[str, str, str]]:
    for step in view.steps:
        if step.error:
            yield "error", step.step, f"{step.error}\n{as_typed(step.hint or '', view.instance)}"
        elif not step.drift:
            yield "ok", step.step, ""
        for drift in step.drift:
            yield "drift", step.step, f"{drift.what}: {drift.detail}"
    for note in view.notes:
        yield "note", note.what, f"{note.detail}\n{as_typed(note.hint, view.instance)}"
