"""``keys``: show the builder's keys, replace them, or bring in keys that others keep."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from darlingbuilder.adapters.buildhooks import NixHooks
from darlingbuilder.commands.context import Context, confirm, here, say, say_json
from darlingbuilder.core import lock, log
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.paths import NIX_LOAD
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keylist import Listed, listed
from darlingbuilder.steps.keyring import Role, notes
from darlingbuilder.steps.rotation import Rotation, proven
from darlingbuilder.steps.showing import Showing
from darlingbuilder.steps.succession import Succession

# What argparse gives for an option without its value.
NO_FILE = ""
_DAY = 86400.0


class KeyView(msgspec.Struct, frozen=True):
    """One key, as ``--json`` gives it. ``age``: seconds since its file was written.

    ``stage``: «in use», «next» while it is about to follow the one in use, «unknown» where only the guest has it.
    """

    kind: str
    stage: str
    path: str
    type: str | None
    fingerprint: str | None
    comment: str | None
    on_host: bool
    in_guest: bool
    age: float | None
    whose: str
    error: str | None


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the action says."""
    context.require_builder()
    if arguments.copy and arguments.action != "import":
        raise UsageError(f"keys {arguments.action} takes no --copy", hint="keys import --user FILE --copy takes it")
    given = {role: getattr(arguments, role.value) for role in Role if getattr(arguments, role.value) is not None}
    {"show": _show, "rotate": _rotate, "import": _import}[arguments.action](context, arguments, given)
    return ExitCode.OK


def _show(context: Context, arguments: Namespace, given: dict[Role, str]) -> None:
    _refuse_files(given, "keys show shows the keys that there are")
    found = _listed(context, list(given) or list(Role))
    if arguments.json:
        say_json([_view(one) for one in found])
    else:
        say("\n".join(map(_text, found)))


def _rotate(context: Context, arguments: Namespace, given: dict[Role, str]) -> None:
    _refuse_files(given, "keys rotate makes the new keys itself")
    roles = list(given) or list(Role)
    with _alone(context):
        successions = _successions(context, roles)
        for one in successions:
            one.refuse_keeper()
        _replace(context, successions, Succession.generate, arguments.timeout)
    _confirm(context, roles, as_json=arguments.json)


def _refuse_files(given: dict[Role, str], why: str) -> None:
    if any(file != NO_FILE for file in given.values()):
        raise UsageError(f"{why}, and takes no FILE", hint="keys import takes them from a FILE")


def _import(context: Context, arguments: Namespace, given: dict[Role, str]) -> None:
    if not given or NO_FILE in given.values():
        raise UsageError("keys import needs a file", hint="darlingbuilder keys import --user FILE, or --host FILE")
    files, copy = {role: here() / file for role, file in given.items()}, arguments.copy
    with _alone(context):
        new = [one for one in _successions(context, list(given)) if one.would_follow(files[one.role], copy=copy)]
        if new:
            _replace(context, new, lambda one: one.bring(files[one.role], copy=copy), arguments.timeout)
    if not new and not arguments.json:
        confirm("These keys are in use already; nothing was changed.")
    else:
        _confirm(context, list(given), as_json=arguments.json)


def _successions(context: Context, roles: list[Role]) -> list[Succession]:
    made = [Succession(context.settings, context.world, role) for role in roles]
    for one in made:
        one.refuse_foreign_pin()
    return made


def _replace(
    context: Context, successions: list[Succession], begin: Callable[[Succession], object], patience: float
) -> None:
    settings, world, roles = context.settings, context.world, [one.role for one in successions]
    hooks, door = NixHooks(world.host.real(NIX_LOAD), settings.names.alias), Showing(settings, world)
    Rotation(settings, world, roles, hooks=hooks, door=door, prove=proven, patience=patience).run(
        lambda: [begin(one) for one in successions]
    )
    if Role.HOST in roles and Clients(settings, world.host).listed():
        log.warning(
            "the clients still know the old host key alone", do="give them the new one: darlingbuilder export"
        )


def _confirm(context: Context, roles: list[Role], *, as_json: bool) -> None:
    found = _listed(context, roles)
    if as_json:
        say_json([_view(one) for one in found])
    else:
        confirm("\n".join(map(_text, found)))


def _listed(context: Context, roles: list[Role]) -> list[Listed]:
    return [one for one in listed(context.settings, context.world) if one.role in roles]


@contextmanager
def _alone(context: Context) -> Iterator[None]:
    with lock.held(context.world.host.real(context.settings.names.keys_lock), purpose="keys", seconds=0) as held:
        try:
            yield
        except KeyboardInterrupt:
            if notes(context.settings, context.world.host):
                log.warning("both keys count as long as this is not finished", do="darlingbuilder keys rotate")
            raise
        finally:
            held.remove()


def _view(one: Listed) -> KeyView:
    return KeyView(
        kind=one.role.value,
        stage=one.stage,
        path=str(one.path),
        type=one.key.kind if one.key else None,
        fingerprint=one.key.fingerprint if one.key else None,
        comment=one.key.comment if one.key else None,
        on_host=one.host,
        in_guest=one.guest,
        age=one.age,
        whose=one.whose,
        error=one.error or None,
    )


def _text(one: Listed) -> str:
    places = " and ".join([*(["on the host"] if one.host else []), *(["in the guest"] if one.guest else [])])
    age = "" if one.age is None else f", {one.age / _DAY:.1f} days old"
    return (
        f"{one.role.value} key, {one.stage}: {one.path}\n"
        f"  {f'{one.key.kind} {one.key.fingerprint}' if one.key else one.error}\n"
        f"  {places or 'nowhere'}{age}; whose: {one.whose}"
    )
