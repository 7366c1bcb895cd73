"""``client``: other machines that may build here, admitted by a key of theirs, listed, and shut out again."""

import sys
from argparse import Namespace

import msgspec

from darlingbuilder.adapters import journal
from darlingbuilder.adapters.accounts import required
from darlingbuilder.adapters.journal import Admission
from darlingbuilder.commands import screen
from darlingbuilder.commands.context import Context, confirm, here, say, say_json
from darlingbuilder.core import clientkey, lock, log
from darlingbuilder.core.errors import BuilderError, ExitCode, KeyFileError, UsageError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.steps.clients import Clients, KnownClient
from darlingbuilder.steps.keylist import admitted_by_guest
from darlingbuilder.steps.revocation import Ended, Revocation
from darlingbuilder.steps.sshd import Sshd

STANDARD_INPUT = "-"
_LONGEST_FILE = 65536
_HEADER = ("NAME", "SINCE", "KEY", "COMMENT")


class ClientView(msgspec.Struct, frozen=True):
    """A client as ``--json`` gives it. ``since``: epoch seconds; ``in_guest``: whether the guest lets it in.

    Type, fingerprint and comment are null, and ``error`` says why, where its key cannot be used.
    """

    name: str
    type: str | None
    fingerprint: str | None
    comment: str | None
    since: float
    in_guest: bool
    path: str
    error: str | None


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Do what the action says."""
    context.require_builder()
    if arguments.key is not None and arguments.action != "add":
        raise UsageError(f"client {arguments.action} takes no --key", hint="client add NAME --key FILE takes one")
    {"add": _add, "list": _list, "remove": _remove}[arguments.action](context, arguments)
    return ExitCode.OK


def _add(context: Context, arguments: Namespace) -> None:
    name = _named(arguments)
    if arguments.key is None:
        raise UsageError(
            "client add needs the client's public key",
            hint=f"darlingbuilder client add {name} --key FILE, or --key - to read it from standard input",
        )
    key = _handed_in(context, arguments.key)
    with context.locked("client add", seconds=lock.PATIENCE):
        is_new = _clients(context).add(name, key)
        Sshd(context.settings, context.world).admit()
    if arguments.json:
        say_json(_view_of(context, name))
        return
    confirm(f"The client {name} may build here{'' if is_new else ' already'}: {key.kind} {key.fingerprint}")
    if is_new:
        confirm("What it needs for that is printed by: darlingbuilder export")


def _list(context: Context, arguments: Namespace) -> None:
    if arguments.name:
        raise UsageError("client list takes no NAME", hint="darlingbuilder client list")
    views = _views(context)
    if arguments.json:
        say_json(views)
    elif not views:
        say("No other machine may build here.")
    elif screen.on_terminal():
        screen.draw(screen.table(map(_row, views), header=_HEADER))
    else:
        say("\n".join(screen.columns([_HEADER, *map(_row, views)])))


def _remove(context: Context, arguments: Namespace) -> None:
    name = _named(arguments)
    with context.locked("client remove", seconds=lock.PATIENCE):
        gone = _clients(context).remove(name)
        obstacle = _obstacle(context)
    # Whatever keeps us from the guest's list, what runs by that key ends.
    ended = _end(context, gone)
    if ended.unknown:
        log.warning(
            "connections are left of which the journal does not say by whose key they came",
            connections=ended.unknown,
            do="to end those, too, and every build: darlingbuilder restart --now",
        )
    if obstacle:
        raise obstacle
    if arguments.json:
        say_json({"name": name, "ended": ended.ended, "unknown": ended.unknown})
        return
    confirm(f"The client {name} is let in no longer; {ended.ended} connection(s) of it were ended.")


def _obstacle(context: Context) -> BuilderError | None:
    """Let in those alone whose keys count; give what is in the way of that."""
    try:
        Sshd(context.settings, context.world).admit()
    except BuilderError as error:
        return error
    return None


def _end(context: Context, gone: KnownClient) -> Ended:
    def admissions(since: float) -> list[Admission]:
        uid = required(context.world.accounts, context.settings.user).owner.uid
        return journal.admissions(context.settings.names.unit, uid, since=since)

    # What came by a key that is not known cannot be told apart.
    if gone.key is None:
        return Ended(0, 0)
    return Revocation(context.settings, context.world, admissions).end(gone.key.fingerprint)


def _handed_in(context: Context, file: str) -> PublicKey:
    if file == STANDARD_INPUT:
        return clientkey.handed_in(sys.stdin.buffer.read(_LONGEST_FILE), "standard input")
    path = here() / file
    try:
        content = context.world.host.read(path)
    except OSError as error:
        raise KeyFileError(
            f"{file}: {error.strerror}", hint="name a file that root can read, or - for standard input"
        ) from error
    if content is None:
        raise KeyFileError(f"{file}: there is no such file", hint="name the client's .pub file, or - to read it here")
    return clientkey.handed_in(content[:_LONGEST_FILE], file)


def _clients(context: Context) -> Clients:
    return Clients(context.settings, context.world.host)


def _named(arguments: Namespace) -> str:
    if not arguments.name:
        raise UsageError(
            f"client {arguments.action} needs a NAME", hint="see which there are: darlingbuilder client list"
        )
    name: str = arguments.name
    return name


def _view_of(context: Context, name: str) -> ClientView:
    return next(view for view in _views(context) if view.name == name)


def _views(context: Context) -> list[ClientView]:
    inside = {key.text for key in admitted_by_guest(context.world)}
    return [_view(client, inside) for client in _clients(context).listed()]


def _view(client: KnownClient, inside: set[str]) -> ClientView:
    return ClientView(
        name=client.name,
        type=client.key.kind if client.key else None,
        fingerprint=client.key.fingerprint if client.key else None,
        comment=client.key.comment if client.key else None,
        since=client.since,
        in_guest=client.key is not None and client.key.text in inside,
        path=str(client.path),
        error=client.error or None,
    )


def _row(view: ClientView) -> tuple[str, str, str, str]:
    if view.error:
        return (view.name, screen.date(view.since), view.error, "not let in")
    absent = "" if view.in_guest else " (not in the guest: darlingbuilder init)"
    return (view.name, screen.date(view.since), f"{view.type} {view.fingerprint}{absent}", view.comment or "")
