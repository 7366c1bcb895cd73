"""``man``: the manual pages, written from the argument tree, the settings, the exit codes and the paths."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder import __version__
from darlingbuilder.commands import argumenttree, settingsmanual
from darlingbuilder.commands.argumenttree import help_of, own, setting_of
from darlingbuilder.commands.context import say
from darlingbuilder.core import compatibility, config, declaration, paths, render, shim
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.roff import Entry, roff, sentence
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.overview import metrics
from darlingbuilder.steps.overview.metrics import Metric


@dataclass(frozen=True, slots=True)
class VerbEntry:
    """A command of the page, and what it alone takes."""

    name: str
    synopsis: str
    text: str
    arguments: Sequence[Entry]
    takes_settings: bool


def run(arguments: Namespace) -> ExitCode:
    """Print the page that is asked for."""
    say(PAGES[arguments.page](arguments.tree).rstrip("\n"))
    return ExitCode.OK


def page(parser: ArgumentParser) -> str:
    """Give the manual page of the program whose argument tree is ``parser``, as roff in ASCII."""
    verbs = argumenttree.verbs(parser)
    common = _common(list(verbs.values()))
    return render.template(
        "darlingbuilder.1.j2",
        version=roff(__version__),
        description=roff(parser.description or ""),
        global_options=[_argument(action) for action in own(parser)],
        common=[_argument(action) for action in common],
        verbs=[_verb(name, sub, common) for name, sub in verbs.items()],
        settings=settingsmanual.entries(),
        metrics=[Entry(_metric(metric), roff(metric.help)) for metric in metrics.METRICS],
        exit_codes=[Entry(str(int(code)), roff(code.meaning)) for code in ExitCode],
        corrections=[Entry(roff(name), roff(text)) for name, text in shim.CORRECTIONS.items()],
        files=[Entry(roff(str(path)), roff(text)) for path, text in _files(Settings())],
        example=roff(compatibility.example()),
        default_file=roff(str(config.DEFAULT_FILE)),
        unit=roff(Settings().names.unit),
    )


def _common(verbs: Sequence[ArgumentParser]) -> list[argparse.Action]:
    """List the options that every command takes; a setting among them is described with the settings."""
    names = [{_name(action) for action in own(verb)} for verb in verbs]
    shared = set.intersection(*names) - _setting_flags()
    return [action for action in own(verbs[0]) if _name(action) in shared]


def _verb(name: str, parser: ArgumentParser, common: Iterable[argparse.Action]) -> VerbEntry:
    elsewhere = {_name(action) for action in common}
    alone = [action for action in own(parser) if _name(action) not in elsewhere and setting_of(action) is None]
    flags = {_name(action) for action in own(parser)}
    return VerbEntry(
        name=roff(name),
        synopsis=" ".join(_optional(action) for action in alone),
        text=roff(sentence(parser.description or "")),
        # A choice that has to be made is all said by the synopsis.
        arguments=[_argument(action) for action in alone if not action.choices or _may_be_left_out(action)],
        takes_settings=flags >= _setting_flags(),
    )


def _metric(metric: Metric) -> str:
    labels = f" ({', '.join(metric.labels)})" if metric.labels else ""
    return f"\\fB{roff(metric.full_name)}\\fR{roff(labels)}"


def _may_be_left_out(action: argparse.Action) -> bool:
    return bool(action.option_strings) or action.nargs == "?"


def _argument(action: argparse.Action) -> Entry:
    return Entry(_term(action), roff(sentence(help_of(action))))


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
    dots = "..." if action.nargs in {argparse.REMAINDER, argparse.ONE_OR_MORE} else ""
    shown = f"{_term(action)}{dots}"
    return shown if action.required else f"[{shown}]"


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest


def _setting_flags() -> set[str]:
    return {setting.flag for setting in declaration.table().values()}


def _files(settings: Settings) -> list[tuple[Path, str]]:
    ours, names = Paths(settings), settings.names
    return [
        (config.DEFAULT_FILE, "the settings, in TOML"),
        (ours.marker, "the marker: that the builder is ours, and the settings that it was made with"),
        (ours.prefix, "the Darling prefix"),
        (ours.nix, "the guest's /nix; with store = \"overlay\" its store is the layer over the host's"),
        (ours.image, "the file system that limits it, if store_size is set"),
        (ours.snapshots, "the snapshots of prefix and store"),
        (ours.pristine, "the Nix that an ephemeral builder begins every start with"),
        (names.host_roots, "what the guest's own store paths need of the host's, kept there"),
        (ours.boot_log, "what the container's boot prints"),
        (ours.last_test, "how the last test ended, for status and metrics"),
        (ours.key, "the private key with which Nix logs in; its public half lies beside it"),
        (ours.host_key, "the private host key of the guest's sshd"),
        (ours.clients, "the public keys of other machines that may build here, NAME.pub each"),
        (paths.next_of(ours.key), "while keys are replaced: the next one, here and beside the host key"),
        (names.ssh_alias, "the ssh alias of the builder"),
        (names.machines, "the builder's line for Nix, included by /etc/nix/machines or nix.conf"),
        (ours.failures, "how often the builder has failed in a row, and whether it is out of service for that"),
        (ours.machines, "the same line where register is false, for whoever registers the builder"),
        (names.unit_file, "the unit"),
        (names.socket_file, "the port of a builder on demand"),
        (names.proxy_file, "the way from there to the guest's sshd"),
        (
            names.metrics_timer_file,
            "the timer for metrics_textfile, with its service beside it",
        ),
    ]


# By its name, as man(1) takes it.
PAGES: Mapping[str, Callable[[ArgumentParser], str]] = {
    "darlingbuilder": page,
    "darlingbuilder.toml": lambda _parser: settingsmanual.page(),
}
