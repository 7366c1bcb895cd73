"""The command line: the argument tree, the settings that it gives, one command, and the exit code."""

import argparse
import errno
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from darlingbuilder import __version__
from darlingbuilder.core import config, log
from darlingbuilder.core.config import Setting
from darlingbuilder.core.errors import BuilderError, ExitCode, PrerequisiteError, UsageError

_DESCRIPTION = "Turn this machine into its own x86_64-darwin Nix builder, with Darling."
# A verb that has no line of its own in the overview stands in that of the verb before it.
_BESIDE = ""
_MORE = "All of a verb: darlingbuilder VERB --help. All there is: darlingbuilder man"
# A file system that takes no more is nobody's mistake, and no bug.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LONGEST_WAIT = 86400
_SWITCH: Mapping[str, Any] = {"action": "store_true"}
_TEXT: Mapping[str, Any] = {"metavar": "TEXT"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a verb that is no setting; ``options`` go to argparse as they are."""

    name: str
    help: str
    options: Mapping[str, Any] = field(default_factory=lambda: _SWITCH)


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: ``run(context, arguments)`` of ``darlingbuilder.commands.<module>``.

    ``takes_settings``: every setting is a flag of it. ``needs_root``: it reads or changes what is root's.
    ``overview``: its line there, where its help does not fit on one, or is not of it alone.
    """

    name: str
    module: str
    help: str
    arguments: tuple[Argument, ...] = ()
    takes_settings: bool = False
    needs_root: bool = True
    overview: str | None = None


def _count(text: str) -> int:
    """Read how many."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _seconds(text: str) -> float:
    """Read a time that one can wait for."""
    number = float(text)
    if not 0 < number <= _LONGEST_WAIT:
        raise ValueError(text)
    return number


def _key(name: str, text: str) -> Argument:
    return Argument(name, text, {"nargs": "?", "const": "", "metavar": "FILE"})


_JSON = Argument("--json", "print JSON")
_TIMEOUT = Argument(
    "--timeout", "seconds that all of it may take [300]", {"type": float, "default": 300.0, "metavar": "SECONDS"}
)
_SCHEMA = Argument("--schema", "print the JSON Schema of what --json prints")
_WATCH = Argument(
    "--watch",
    "show it again and again, every so many seconds [2], until Ctrl-C",
    {"nargs": "?", "type": _seconds, "const": 2.0, "metavar": "SECONDS"},
)
_FIVE_SECONDS: Mapping[str, Any] = {"type": _seconds, "default": 5.0, "metavar": "SECONDS"}
_PATHS = Argument(
    "paths",
    "store paths, or links to them such as ./result, with all that they need",
    {"nargs": "+", "metavar": "PATH"},
)
_DRY_RUN = Argument("--dry-run", "show every difference and change nothing; exit 3 if there is one")
_NOW = Argument("--now", "do not wait for running builds, and cut off those that another stop waits for")

VERBS = (
    Verb("init", "init", "make the builder what the settings say", (_DRY_RUN,), takes_settings=True),
    Verb(
        "status",
        "status",
        "show the builder and every difference; exit 3 if there is one",
        (_JSON, _SCHEMA, _WATCH),
        overview="show the builder, and how it differs from its settings",
    ),
    Verb(
        "top",
        "top",
        "show all builders of this machine's Nix: reachable, latency, load, memory, slots, systems, speed",
        (
            _JSON,
            _SCHEMA,
            Argument("--once", "look once, and not again and again until Ctrl-C"),
            Argument("--interval", "seconds between two looks [5]", _FIVE_SECONDS),
            Argument("--timeout", "seconds that a builder gets to answer [5]", _FIVE_SECONDS),
        ),
        overview="show all builders of this machine's Nix",
    ),
    Verb(
        "start",
        "unit",
        "start the service and wait until it serves",
        overview="the service; each waits for it, stop lets builds end",
    ),
    Verb("stop", "unit", "let running builds end, then stop the service", (_NOW,), overview=_BESIDE),
    Verb("restart", "unit", "stop the service as «stop» does, then start it", (_NOW,), overview=_BESIDE),
    Verb("serve", "serve", "run the builder in the foreground, as the unit does", overview="what the unit runs"),
    Verb(
        "breaker",
        "breaker",
        "count a failure of the service, or put the builder back into service; the unit itself runs this",
        (Argument("event", "what has happened to the service", {"choices": ["ended", "serves"]}),),
        overview=_BESIDE,
    ),
    Verb(
        "test",
        "selftest",
        "connect as nix-daemon does, layer by layer, and build a derivation",
        (_JSON, Argument("--no-build", "stop before the build"), _TIMEOUT),
        overview="connect as nix-daemon does, and build a derivation",
    ),
    Verb(
        "push",
        "transfer",
        "copy closures from this machine's store into the guest's",
        (_PATHS, _JSON),
        overview="copy closures into the guest's store; and back",
    ),
    Verb(
        "pull",
        "transfer",
        "copy closures from the guest's store into this machine's; unsigned as they are, the guest is trusted",
        (_PATHS, _JSON),
        overview=_BESIDE,
    ),
    Verb(
        "shell",
        "shell",
        "run a command, or a shell, in the guest",
        (Argument("command", "the command and its arguments", {"nargs": argparse.REMAINDER}),),
    ),
    Verb(
        "logs",
        "logs",
        "show the journal of the service",
        (
            Argument(
                "whose",
                "whose lines: all of the service, its own, those of the guest's sshd, or of the host's nix-daemon",
                {"nargs": "?", "choices": ["all", "own", "sshd", "nix"], "default": "all"},
            ),
            Argument("-f", "wait for more", {"dest": "follow", **_SWITCH}),
            Argument(
                "--since", "from then on, as journalctl takes it: «today», «2026-01-31 12:00»; --since=-1h", _TEXT
            ),
            Argument("--lines", "the last so many", {"type": _count, "metavar": "N"}),
            Argument(
                "--priority",
                "as important as this, or more",
                {"choices": ["err", "warning", "notice", "info", "debug"]},
            ),
            Argument("--build", "instead, the whole log of one build, by its derivation or output", _TEXT),
            Argument("--json", "print every field, a line an entry"),
        ),
        needs_root=False,
        overview="show the journal; print metrics for Prometheus",
    ),
    Verb(
        "metrics",
        "metrics",
        "print the builder's metrics for Prometheus",
        (
            Argument(
                "--textfile",
                "write them to this file instead, which ends in .prom, for node_exporter",
                {"type": Path, "metavar": "PATH"},
            ),
        ),
        overview=_BESIDE,
    ),
    Verb(
        "doctor",
        "doctor",
        "check what the machine must bring along; exit 5 if something is missing",
        (_JSON,),
        takes_settings=True,
        needs_root=False,
        overview="check what the machine must bring along",
    ),
    Verb(
        "config",
        "config",
        "show every setting, its value and its origin, or print the unit that follows from them",
        (Argument("action", "what to do with the settings", {"choices": ["show", "unit"]}), _JSON),
        takes_settings=True,
        needs_root=False,
        overview="show every setting with its origin, or print the unit",
    ),
    Verb(
        "keys",
        "keys",
        "show the two keys; rotate them, no build failing meanwhile; or import keys that others keep",
        (
            Argument("action", "what to do with the keys", {"choices": ["show", "rotate", "import"]}),
            _key("--user", "the key with which Nix logs in, without --host that one alone; FILE is for import"),
            _key("--host", "the host key of the guest's sshd, likewise"),
            Argument("--copy", "import takes a copy, instead of a link to where the key is kept"),
            Argument(
                "--timeout",
                "seconds that rotate and import wait for builds that know the old host key alone [600]",
                {"type": float, "default": 600.0, "metavar": "SECONDS"},
            ),
            _JSON,
        ),
        overview="show, rotate or import the keys",
    ),
    Verb(
        "reset",
        "reset",
        "make a new prefix and an empty store, with the same keys and settings",
        (Argument("--keep-store", "keep the store"), Argument("--yes", "do not ask")),
        overview="make a new prefix and an empty store",
    ),
    Verb(
        "snapshot",
        "snapshot",
        "keep prefix and store as they are, or put what was kept in their place; the builder is stopped meanwhile",
        (
            Argument("action", "what to do", {"choices": ["create", "restore", "list", "delete"]}),
            Argument("name", "the snapshot; a new one is named after the time", {"nargs": "?", "metavar": "NAME"}),
            _JSON,
        ),
        overview="keep prefix and store as they are, or put them back",
    ),
    Verb(
        "uninstall",
        "uninstall",
        "withdraw everything that init made; keys and snapshots are kept",
        (Argument("--purge", "delete the keys and the snapshots, too"),),
        overview="withdraw everything that init made",
    ),
    Verb(
        "gc",
        "gc",
        "collect the guest's garbage, by its own Nix; the host's paths stay",
        (
            Argument("--max-age", "delete only what was registered longer ago, as in 30d", {"metavar": "AGE"}),
            Argument("--free", "stop when so much is freed, as in 10G", {"metavar": "SIZE"}),
            _JSON,
        ),
        overview="collect the guest's garbage, by its own Nix",
    ),
    Verb(
        "man",
        "manual",
        "print a manual page, of the program or of its settings file",
        (
            Argument(
                "page",
                "which one [darlingbuilder]",
                {"nargs": "?", "choices": ["darlingbuilder", "darlingbuilder.toml"], "default": "darlingbuilder"},
            ),
        ),
        needs_root=False,
        overview="print a manual page; print what a shell completes",
    ),
    Verb(
        "completion",
        "completion",
        "print what completes the command line in a shell",
        (Argument("shell", "the shell", {"choices": ["bash", "zsh", "fish"]}),),
        needs_root=False,
        overview=_BESIDE,
    ),
)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints read as every other error does; its subparsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see: {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        # Here a reader that has gone is noticed as such; Python itself would complain of it at its end.
        sys.stdout.flush()
        super().exit(status, message)


class _Top(_Parser):
    """The parser of the program, whose help fits a screen."""

    def format_help(self) -> str:
        rows: list[tuple[str, str]] = []
        for verb in VERBS:
            if verb.overview == _BESIDE:
                names, text = rows.pop()
                rows.append((f"{names}, {verb.name}", text))
            else:
                rows.append((verb.name, verb.overview or verb.help))
        width = max(len(names) for names, _ in rows)
        lines = [f"  {names:{width}}  {text}" for names, text in rows]
        return "\n".join(("usage: darlingbuilder [--version] VERB ...", "", _DESCRIPTION, "", *lines, "", _MORE, ""))


def parser() -> argparse.ArgumentParser:
    """Build the argument tree from VERBS and from the declaration of the settings."""
    top = _Top("darlingbuilder", description=_DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"darlingbuilder {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    for verb in VERBS:
        sub = verbs.add_parser(verb.name, help=verb.help, description=verb.help, allow_abbrev=False)
        sub.set_defaults(verb=verb, tree=top)
        for argument in verb.arguments:
            sub.add_argument(argument.name, help=argument.help, **argument.options)
        _add_common(sub)
        _add_settings(sub, list(config.table().values()) if verb.takes_settings else [config.table()["state"]])
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the only place where an exception becomes an exit code."""
    # Both end a command in the same way: what it began is left for the next «init» to go on from.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(parser().parse_args(words))
    except BuilderError as error:
        log.complain(f"{log.COMPLAINT}{error}\n  {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        log.complain(f"{log.COMPLAINT}interrupted\n  what was begun is finished by: darlingbuilder init")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader (a pager, head) has gone
        _abandon_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _abandon_output()
        where = f": {error.filename}" if error.filename else ""
        log.complain(f"{log.COMPLAINT}{error.strerror}{where}\n  make room, then: darlingbuilder init")
        return ExitCode.FAILED


def _abandon_output() -> None:
    """Keep Python from complaining once more when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: argparse.Namespace) -> int:
    journal = log.journal(os.environ, sys.stderr)
    log.configure(verbose=arguments.verbose, quiet=arguments.quiet, send=journal)
    verb: Verb = arguments.verb
    called = config.load(
        file=arguments.config, environment=config.current_environment(), flags=_setting_flags(arguments)
    )
    if verb.needs_root and os.geteuid() != 0:
        raise PrerequisiteError(f"{verb.name} needs root", hint=f"sudo darlingbuilder {verb.name}")
    # A verb imports what it alone needs, so that --help is instant and needs no library.
    context = importlib.import_module("darlingbuilder.commands.context").of(called, as_called=verb.takes_settings)
    code: ExitCode = importlib.import_module(f"darlingbuilder.commands.{verb.module}").run(context, arguments)
    sys.stdout.flush()
    return code


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, metavar="FILE", help=f"settings file [{config.DEFAULT_FILE}]")
    sub.add_argument("--verbose", action="store_true", help="say more: every command that is run")
    sub.add_argument("--quiet", action="store_true", help="say only what is wrong")


def _add_settings(sub: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    group = sub.add_argument_group("settings (flag over environment over file)")
    for setting in settings:
        default = config.as_text(setting.default) or "unset"
        text = f"{setting.help} [{default}]".replace("%", "%%")
        group.add_argument(setting.flag, dest=setting.variable, metavar="VALUE", help=text)


def _setting_flags(arguments: argparse.Namespace) -> dict[str, str]:
    given = {key: getattr(arguments, setting.variable, None) for key, setting in config.table().items()}
    return {key: value for key, value in given.items() if value is not None}
