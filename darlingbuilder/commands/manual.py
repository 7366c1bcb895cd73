"""``man``: the manual page, written from the argument tree, the settings, the exit codes and the paths."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder import __version__
from darlingbuilder.commands.context import Context, say
from darlingbuilder.core import config, paths, render, shim
from darlingbuilder.core.config import Setting
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.overview import metrics
from darlingbuilder.steps.overview.metrics import Metric


@dataclass(frozen=True, slots=True)
class Entry:
    """A paragraph of the page: ``term`` is what it explains; both are roff."""

    term: str
    text: str


@dataclass(frozen=True, slots=True)
class VerbEntry:
    """A command of the page, and what it alone takes."""

    name: str
    synopsis: str
    text: str
    arguments: Sequence[Entry]
    takes_settings: bool


def run(_context: Context, arguments: Namespace) -> ExitCode:
    """Print the page."""
    say(page(arguments.tree).rstrip("\n"))
    return ExitCode.OK


def page(parser: ArgumentParser) -> str:
    """Give the manual page of the program whose argument tree is ``parser``, as roff in ASCII."""
    verbs = _verbs(parser)
    common = _common(list(verbs.values()))
    return render.template(
        "darlingbuilder.1.j2",
        version=roff(__version__),
        description=roff(parser.description or ""),
        global_options=[_argument(action) for action in _own(parser)],
        common=[_argument(action) for action in common],
        verbs=[_verb(name, sub, common) for name, sub in verbs.items()],
        settings=[_setting(setting) for setting in config.table().values()],
        metrics=[Entry(_metric(metric), roff(metric.help)) for metric in metrics.METRICS],
        exit_codes=[Entry(str(int(code)), roff(code.meaning)) for code in ExitCode],
        corrections=[Entry(roff(name), roff(text)) for name, text in shim.CORRECTIONS.items()],
        files=[Entry(roff(str(path)), roff(text)) for path, text in _files(Settings())],
        default_file=roff(str(config.DEFAULT_FILE)),
        unit=roff(paths.UNIT),
    )


def roff(text: str) -> str:
    """Give ``text`` so that roff prints it as it is: no request, no escape, hyphens that can be pasted, ASCII."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    ascii_only = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in plain)
    # A line that begins with a dot would be a request.
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in ascii_only.splitlines())


def _verbs(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    actions = parser._actions  # noqa: SLF001 - argparse has no public way to walk its tree
    return next(
        dict(action.choices)
        for action in actions
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )


def _own(parser: ArgumentParser) -> list[argparse.Action]:
    """List the arguments of ``parser`` itself, without its commands."""
    hidden = (argparse._SubParsersAction, argparse._HelpAction)  # noqa: SLF001 - as above
    return [action for action in parser._actions if not isinstance(action, hidden)]  # noqa: SLF001


def _common(verbs: Sequence[ArgumentParser]) -> list[argparse.Action]:
    """List the options that every command takes; a setting among them is described with the settings."""
    names = [{_name(action) for action in _own(verb)} for verb in verbs]
    shared = set.intersection(*names) - _setting_flags()
    return [action for action in _own(verbs[0]) if _name(action) in shared]


def _verb(name: str, parser: ArgumentParser, common: Iterable[argparse.Action]) -> VerbEntry:
    elsewhere = {_name(action) for action in common}
    own = [action for action in _own(parser) if _name(action) not in elsewhere and not _is_setting(action)]
    flags = {_name(action) for action in _own(parser)}
    return VerbEntry(
        name=roff(name),
        synopsis=" ".join(_optional(action) for action in own),
        text=roff(_sentence(parser.description or "")),
        # A choice that has to be made is all said by the synopsis.
        arguments=[_argument(action) for action in own if not action.choices or _may_be_left_out(action)],
        takes_settings=flags >= _setting_flags(),
    )


def _metric(metric: Metric) -> str:
    labels = f" ({', '.join(metric.labels)})" if metric.labels else ""
    return f"\\fB{roff(metric.full_name)}\\fR{roff(labels)}"


def _may_be_left_out(action: argparse.Action) -> bool:
    return bool(action.option_strings) or action.nargs == "?"


def _argument(action: argparse.Action) -> Entry:
    help_text = (action.help or "").replace("%%", "%")
    return Entry(_term(action), roff(_sentence(help_text)))


def _term(action: argparse.Action) -> str:
    named = f"\\fI{roff(_value(action))}\\fR"
    named = f"[{named}]" if action.nargs == argparse.OPTIONAL else named
    value = f" {named}" if action.nargs != 0 and action.option_strings else ""
    names = ", ".join(f"\\fB{roff(option)}\\fR{value}" for option in action.option_strings)
    return names or f"\\fI{roff(_value(action))}\\fR"


def _optional(action: argparse.Action) -> str:
    if action.choices:
        words = "|".join(f"\\fB{roff(str(choice))}\\fR" for choice in action.choices)
        names = "".join(f"\\fB{roff(option)}\\fR " for option in action.option_strings)
        return f"[{names}{words}]" if names or action.nargs == "?" else words
    dots = "..." if action.nargs == argparse.REMAINDER else ""
    return f"[{_term(action)}{dots}]"


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest


def _setting_flags() -> set[str]:
    return {setting.flag for setting in config.table().values()}


def _is_setting(action: argparse.Action) -> bool:
    # Not by its name: «keys --user» is no setting.
    return action.dest in {setting.variable for setting in config.table().values()}


def _setting(setting: Setting) -> Entry:
    default = config.as_text(setting.default)
    said = f" Default: {roff(default)}." if default else ""
    names = f"\\fB{roff(setting.flag)}\\fR \\fIVALUE\\fR, \\fB{roff(setting.variable)}\\fR"
    text = f"{roff(_sentence(config.describe(setting)))}{said}\n.br\n{names}"
    return Entry(f"\\fB{roff(setting.key)}\\fR", text)


def _sentence(text: str) -> str:
    ended = text if text.endswith((".", "]")) else f"{text}."
    return ended[:1].upper() + ended[1:]


def _files(settings: Settings) -> list[tuple[Path, str]]:
    ours = Paths(settings)
    return [
        (config.DEFAULT_FILE, "the settings, in TOML"),
        (ours.marker, "the marker: that the builder is ours, and the settings that it was made with"),
        (ours.prefix, "the Darling prefix"),
        (ours.nix, "the guest's /nix; with store = \"overlay\" its store is the layer over the host's"),
        (paths.HOST_ROOTS, "what the guest's own store paths need of the host's, kept there"),
        (ours.boot_log, "what the container's boot prints"),
        (ours.last_test, "how the last test ended, for status and metrics"),
        (ours.key, "the private key with which Nix logs in; its public half lies beside it"),
        (ours.host_key, "the private host key of the guest's sshd"),
        (paths.next_of(ours.key), "while keys are replaced: the next one, here and beside the host key"),
        (paths.SSH_ALIAS, "the ssh alias of the builder"),
        (paths.OUR_MACHINES, "the builder's line for Nix, included by /etc/nix/machines or nix.conf"),
        (ours.machines, "the same line where register is false, for whoever registers the builder"),
        (paths.UNIT_FILE, "the unit"),
        (paths.SOCKET_FILE, "the port of a builder on demand"),
        (paths.PROXY_FILE, "the way from there to the guest's sshd"),
        (
            paths.METRICS_TIMER_FILE,
            "the timer for metrics_textfile, with its service beside it",
        ),
    ]
