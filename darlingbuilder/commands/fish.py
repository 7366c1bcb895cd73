"""The completions of the shell fish: a line for each verb and for each argument of a verb."""

import argparse
from argparse import ArgumentParser
from collections.abc import Iterator

from darlingbuilder.commands import argumenttree
from darlingbuilder.commands.argumenttree import help_of, own, takes_path, words


def script(parser: ArgumentParser) -> str:
    """Give what fish reads to complete the command line of ``parser``."""
    return "\n".join((*_lines(parser), ""))


def _lines(parser: ArgumentParser) -> Iterator[str]:
    command = f"complete --command {parser.prog}"
    verbs = argumenttree.verbs(parser)
    no_verb = f"not __fish_seen_subcommand_from {' '.join(verbs)}"
    yield f"{command} --no-files"
    for option in own(parser):
        yield f"{command} --condition {_quoted(no_verb)} {_option(option)}"
    for name, verb in verbs.items():
        said = _quoted(verb.description or "")
        yield f"{command} --condition {_quoted(no_verb)} --arguments {name} --description {said}"
        condition = f"{command} --condition {_quoted(f'__fish_seen_subcommand_from {name}')}"
        yield from (f"{condition} {_option(action)}" for action in own(verb) if action.option_strings)
        yield from (f"{condition} {_positional(action)}" for action in own(verb) if not action.option_strings)


def _option(action: argparse.Action) -> str:
    names = [
        f"--long-option {name[2:]}" if name.startswith("--") else f"--short-option {name[1:]}"
        for name in action.option_strings
    ]
    return " ".join((*names, *_value(action), "--description", _quoted(help_of(action))))


def _value(action: argparse.Action) -> tuple[str, ...]:
    # A value that may be left out is not asked for: the next word could be anything.
    if action.nargs in {0, argparse.OPTIONAL}:
        return ()
    if offered := words(action):
        return ("--exclusive", "--arguments", _quoted(" ".join(offered)))
    return ("--require-parameter", "--force-files") if takes_path(action) else ("--exclusive",)


def _positional(action: argparse.Action) -> str:
    offered = words(action)
    if not offered:
        return "--force-files"
    seen = f"not __fish_seen_subcommand_from {' '.join(offered)}"
    return f"--condition {_quoted(seen)} --arguments {_quoted(' '.join(offered))}"


def _quoted(text: str) -> str:
    """Give ``text`` as one word of fish's."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
