"""``logs``: what the journal has of the service, of the guest's sshd and of the host's Nix, or a build's own log."""

from argparse import Namespace

from darlingbuilder.adapters import journal, nixtool, process
from darlingbuilder.adapters.accounts import required
from darlingbuilder.commands.context import Context
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.paths import NIX_DAEMONS


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Become journalctl, or for a build's log, which Nix keeps in a file of its own, nix-store."""
    if arguments.build is not None:
        if arguments.follow or arguments.json or arguments.since:
            raise UsageError("--build is the whole log of one build", hint="leave -f, --json and --since out")
        process.become(nixtool.tool("nix-store"), "--read-log", arguments.build, start=process.Start())
    if arguments.since and not journal.understands(arguments.since):
        raise UsageError(
            f"--since {arguments.since}: no point in time",
            hint="as in --since=-1h, --since=today or --since='2026-01-31 12:00'; systemd.time(7) has the rest",
        )
    journal.show(
        _matches(context, arguments.whose),
        follow=arguments.follow,
        since=arguments.since,
        lines=arguments.lines,
        priority=arguments.priority,
        json=arguments.json,
    )


def _matches(context: Context, whose: str) -> tuple[str, ...]:
    """Give journalctl's arguments. Of the unit, root's lines are ours and systemd's, the guest's user's sshd's."""
    match whose:
        case "nix":
            return tuple(word for unit in NIX_DAEMONS for word in ("--unit", unit))
        case "own":
            return ("--unit", context.settings.names.unit, "_UID=0")
        case "sshd":
            account = required(context.world.accounts, context.settings.user)
            return ("--unit", context.settings.names.unit, f"_UID={account.owner.uid}")
        case _:
            return ("--unit", context.settings.names.unit)
