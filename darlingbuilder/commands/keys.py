"""``keys``: show the builder's keys, replace them, or bring in keys that others keep."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from darlingbuilder.adapters.buildhooks import NixHooks
from darlingbuilder.commands.context import Context, here, say, say_json
from darlingbuilder.core import lock, log
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.paths import NIX_LOAD
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keylist import Listed, listed
from darlingbuilder.steps.keyring import Role
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
    found = [one for one in listed(context.settings, context.world) if not given or one.role in given]
    if arguments.json:
        say_json([_view(one) for one in found])
        return
    for one in found:
        _print(one)


def _rotate(context: Context, arguments: Namespace, given: dict[Role, str]) -> None:
    _refuse_files(given, "keys rotate makes the new keys itself")
    roles = list(given) or list(Role)
    with _alone(context):
        successions = _successions(context, roles)
        with context.locked("keys rotate", seconds=lock.PATIENCE):
            for succession in successions:
                succession.generate()
        _replace(context, roles, arguments.timeout)


def _refuse_files(given: dict[Role, str], why: str) -> None:
    if any(file != NO_FILE for file in given.values()):
        raise UsageError(f"{why}, and takes no FILE", hint="keys import takes them from a FILE")


def _import(context: Context, arguments: Namespace, given: dict[Role, str]) -> None:
    if not given or NO_FILE in given.values():
        raise UsageError("keys import needs a file", hint="darlingbuilder keys import --user FILE, or --host FILE")
    with _alone(context):
        successions = _successions(context, list(given))
        with context.locked("keys import", seconds=lock.PATIENCE):
            roles = [one.role for one in successions if one.bring(here() / given[one.role], copy=arguments.copy)]
        if roles:
            _replace(context, roles, arguments.timeout)
        else:
            say("These keys are in use already; nothing was changed.")


def _successions(context: Context, roles: list[Role]) -> list[Succession]:
    made = [Succession(context.settings, context.world, role) for role in roles]
    for one in made:
        one.refuse_foreign_pin()
    return made


def _replace(context: Context, roles: list[Role], patience: float) -> None:
    settings, world = context.settings, context.world
    hooks, door = NixHooks(world.host.real(NIX_LOAD), settings.names.alias), Showing(settings, world)
    Rotation(settings, world, roles, hooks=hooks, door=door, prove=proven, patience=patience).run()
    for one in listed(settings, world):
        if one.role in roles:
            _print(one)
    if Role.HOST in roles and Clients(settings, world.host).listed():
        log.warning(
            "the clients still know the old host key alone", do="give them the new one: darlingbuilder export"
        )


@contextmanager
def _alone(context: Context) -> Iterator[None]:
    with lock.held(context.world.host.real(context.settings.names.keys_lock), purpose="keys", seconds=0) as held:
        try:
            yield
        except KeyboardInterrupt:
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


def _print(one: Listed) -> None:
    say(f"{one.role.value} key, {one.stage}: {one.path}")
    say(f"  {f'{one.key.kind} {one.key.fingerprint}' if one.key else one.error}")
    places = " and ".join([*(["on the host"] if one.host else []), *(["in the guest"] if one.guest else [])])
    age = "" if one.age is None else f", {one.age / _DAY:.1f} days old"
    say(f"  {places or 'nowhere'}{age}; whose: {one.whose}")
