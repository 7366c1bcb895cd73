"""The command line: the argument tree, the settings that it gives, one command, and the exit code."""

import argparse
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from darlingbuilder import __version__, misread
from darlingbuilder.core import config, declaration, log, streams
from darlingbuilder.core.config import Config
from darlingbuilder.core.declaration import Setting
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode, PrerequisiteError, UsageError
from darlingbuilder.core.instance import DEFAULT
from darlingbuilder.core.tree import Tree
from darlingbuilder.verbs import BESIDE, INTERNAL, VERBS, Verb

if TYPE_CHECKING:
    from darlingbuilder.commands.context import Context

_USAGE = "usage: darlingbuilder [--version] [--instance NAME] VERB ..."
_DESCRIPTION = "Turn this machine into its own x86_64-darwin Nix builder, with Darling."
_MORE = "All of a verb: darlingbuilder VERB --help. All there is: darlingbuilder man"
# The settings that say which builder is meant.
_WHOSE = tuple(declaration.table()[key] for key in config.WHOSE)
# A file system that takes no more is nobody's mistake, and no bug.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
            if verb.overview == INTERNAL:
                continue
            if verb.overview == BESIDE:
                names, text = rows.pop()
                rows.append((f"{names}, {verb.name}", text))
            else:
                rows.append((verb.name, verb.overview or verb.help))
        width = max(len(names) for names, _ in rows)
        lines = [f"  {names:{width}}  {text}" for names, text in rows]
        return "\n".join((_USAGE, "", _DESCRIPTION, "", *lines, "", _MORE, ""))


def parser() -> argparse.ArgumentParser:
    """Build the argument tree from VERBS and from the declaration of the settings."""
    top = _Top("darlingbuilder", description=_DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"darlingbuilder {__version__}")
    _add_instance(top)
    verbs = top.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    for verb in VERBS:
        sub = verbs.add_parser(verb.name, help=verb.help, description=verb.help, allow_abbrev=False)
        sub.set_defaults(verb=verb, tree=top)
        for argument in verb.arguments:
            sub.add_argument(argument.name, help=argument.help, **argument.options)
        _add_common(sub)
        if verb.takes_settings:
            # All of them there would fill the screen; they have a list of their own below.
            sub.usage = f"{sub.format_usage().removeprefix('usage: ').rstrip()} [--SETTING VALUE]..."
        _add_settings(sub, list(declaration.table().values()) if verb.takes_settings else _WHOSE)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the only place where an exception becomes an exit code."""
    # Both end a command in the same way: what it began is left for the next «init» to go on from.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    streams.secure()
    given = sys.argv[1:] if words is None else words
    try:
        return _run(_parsed(given))
    except BuilderError as error:
        log.complain(f"{log.COMPLAINT}{error}\n  {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        log.complain(f"{log.COMPLAINT}interrupted\n  {misread.after_interruption(given)}")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader of a help text has gone
        streams.abandon_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        streams.abandon_output()
        where = f": {error.filename}" if error.filename else ""
        log.complain(f"{log.COMPLAINT}{error.strerror}{where}\n  make room, then: darlingbuilder init")
        return ExitCode.FAILED


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    misread.refuse_other_verbs(words)
    arguments, left = parser().parse_known_args(words)
    misread.refuse_left(arguments.verb, left)
    return arguments


def _run(arguments: argparse.Namespace) -> int:
    journal = log.journal(os.environ, sys.stderr)
    log.configure(verbose=arguments.verbose, quiet=arguments.quiet, send=journal)
    verb: Verb = arguments.verb
    context = None if verb.of_program else _context(verb, arguments)
    code: int = ExitCode.OK
    with misread.cut_short(verb, context.settings.instance if context else DEFAULT):
        module = importlib.import_module(f"darlingbuilder.commands.{verb.module}")
        code = module.run(context, arguments) if context else module.run(arguments)
    _flush()
    return code


def _context(verb: Verb, arguments: argparse.Namespace) -> "Context":
    called, wrong = _called(verb, arguments)
    if verb.needs_root and os.geteuid() != 0:
        raise PrerequisiteError(f"{verb.name} needs root", hint=f"sudo darlingbuilder {verb.name}")
    # A verb imports what it alone needs, so that --help is instant and needs no library.
    from darlingbuilder.commands import context  # noqa: PLC0415 - as above

    return context.of(called, as_called=verb.takes_settings, wrong=wrong, in_any_case=verb.in_any_case)


def _called(verb: Verb, arguments: argparse.Namespace) -> tuple[Config, ConfigError | None]:
    """Give the settings of the call; where these are wrong, those of its builder, by which most verbs go anyway."""
    file, environment, flags = arguments.config, config.current_environment(), _setting_flags(arguments)
    try:
        return config.load(file=file, environment=environment, flags=flags), None
    except ConfigError as error:
        if verb.takes_settings:
            raise
        from darlingbuilder.steps import recorded  # noqa: PLC0415 - as in _context

        found = recorded.instead_of_file(file, environment, flags, Tree(Path("/")))
        if found is None:
            raise
        log.warning("the settings are wrong; those that the builder was made with hold", why=error, do=error.hint)
        return found, error


def _flush() -> None:
    """Print what is left to be printed; of what is done, a reader that has gone changes nothing."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.abandon_output()


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, metavar="FILE", help=f"settings file [{config.DEFAULT_FILE}]")
    sub.add_argument("--verbose", action="store_true", help="say more: every command that is run")
    sub.add_argument("--quiet", action="store_true", help="say only what is wrong")


def _add_settings(sub: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    group = sub.add_argument_group("settings (flag over environment over file)")
    for setting in settings:
        default = declaration.as_text(setting.default) or "unset"
        text = f"{setting.help} [{default}]".replace("%", "%%")
        # What is not given is not there: it must not take the place of what was given before the verb.
        group.add_argument(setting.flag, dest=setting.variable, metavar="VALUE", help=text, default=argparse.SUPPRESS)


def _add_instance(top: argparse.ArgumentParser) -> None:
    """Let the instance be said before the verb as well, once for all that may follow."""
    setting = declaration.table()["instance"]
    top.add_argument(
        setting.flag, dest=setting.variable, metavar="NAME", help=setting.help, default=argparse.SUPPRESS
    )


def _setting_flags(arguments: argparse.Namespace) -> dict[str, str]:
    given = {key: getattr(arguments, setting.variable, None) for key, setting in declaration.table().items()}
    return {key: value for key, value in given.items() if value is not None}
