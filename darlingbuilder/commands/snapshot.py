"""``snapshot``: prefix and store kept, listed, put back and deleted."""

import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from darlingbuilder.commands import screen
from darlingbuilder.commands.context import Context, confirm, say, say_json
from darlingbuilder.core import log, size
from darlingbuilder.core.errors import ConfigError, ExitCode, UsageError
from darlingbuilder.steps import standstill
from darlingbuilder.steps.converge import converge, told
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.snapshots import Manifest, Snapshots

_HEADER = ("NAME", "MADE", "SIZE", "WAY")


class SnapshotView(msgspec.Struct, frozen=True):
    """A snapshot as ``--json`` gives it; all but the name is null for one that cannot be restored here.

    ``created``: epoch seconds; ``size``: bytes on the disk, clones counted as copies; ``way``: reflink or tar.zst.
    """

    name: str
    created: float | None
    size: int | None
    way: str | None


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the action says."""
    context.require_builder()
    actions = {"create": _create, "restore": _restore, "list": _list, "delete": _delete}
    actions[arguments.action](context, arguments)
    return ExitCode.OK


def _create(context: Context, arguments: Namespace) -> None:
    name = arguments.name or time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    snapshots = Snapshots(context.settings, context.world)
    snapshots.refuse_taken(name)
    with _stopped(context, "snapshot create"):
        manifest = snapshots.create(name)
    if arguments.json:
        say_json(_view(name, manifest))
    else:
        confirm(f"The snapshot {name} has {size.told(manifest.size)} ({manifest.way.value}).")


def _restore(context: Context, arguments: Namespace) -> None:
    name = _named(arguments)
    snapshots = Snapshots(context.settings, context.world)
    manifest = snapshots.manifest(name)
    if context.settings.ephemeral:
        raise ConfigError(
            "ephemeral is true: the next start would do away with what is restored",
            hint="set it to false, then: darlingbuilder init",
        )
    with _stopped(context, "snapshot restore"):
        snapshots.restore(name)
        # Settings and keys may have changed since then.
        for step in build(context.config, context.world).files:
            converge(step, announce=told)
    if arguments.json:
        say_json(_view(name, manifest))
    else:
        confirm(f"Prefix and store are those of the snapshot {name}.")


def _list(context: Context, arguments: Namespace) -> None:
    if arguments.name:
        raise UsageError("snapshot list takes no NAME", hint="darlingbuilder snapshot list")
    views = [_view(*one) for one in Snapshots(context.settings, context.world).manifests().items()]
    if arguments.json:
        say_json(views)
        return
    if not views:
        say("There is no snapshot.")
    elif screen.on_terminal():
        screen.draw(screen.table(map(_row, views), header=_HEADER))
    else:
        say("\n".join(screen.columns([_HEADER, *map(_row, views)])))


def _delete(context: Context, arguments: Namespace) -> None:
    name = _named(arguments)
    with context.locked("snapshot delete"):
        Snapshots(context.settings, context.world).delete(name)
    if arguments.json:
        say_json({"name": name})
    else:
        confirm(f"The snapshot {name} is gone.")


@contextmanager
def _stopped(context: Context, purpose: str) -> Iterator[None]:
    """Bring the builder down for a moment, and back if it was wanted, whatever has happened meanwhile."""
    world = context.world
    was_wanted = standstill.is_wanted(context.settings, world)
    try:
        with context.locked(purpose):
            log.info("stopping", unit=context.settings.names.unit)
            standstill.bring_down(context.settings, world)
            yield
    finally:
        # Outside the lock: the start runs «init» as its hook.
        if was_wanted:
            converge(build(context.config, world).service, announce=told)


def _named(arguments: Namespace) -> str:
    if not arguments.name:
        raise UsageError(
            f"snapshot {arguments.action} needs a NAME", hint="see which there are: darlingbuilder snapshot list"
        )
    name: str = arguments.name
    return name


def _view(name: str, manifest: Manifest | None) -> SnapshotView:
    if manifest is None:
        return SnapshotView(name, None, None, None)
    return SnapshotView(name, manifest.created, manifest.size, manifest.way.value)


def _row(view: SnapshotView) -> tuple[str, str, str, str]:
    if view.created is None or view.size is None:
        return (view.name, "cannot be restored by this version, or is damaged", "", "")
    return (view.name, screen.date(view.created), size.told(view.size), view.way or "")
