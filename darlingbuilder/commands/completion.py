"""``completion``: what a shell completes, written from the argument tree."""

from argparse import ArgumentParser, Namespace
from typing import Literal

from darlingbuilder.commands import argumenttree, fish
from darlingbuilder.commands.context import say
from darlingbuilder.core.errors import ExitCode, PrerequisiteError


def run(arguments: Namespace) -> ExitCode:
    """Print the completions for a shell."""
    say(script(arguments.tree, arguments.shell).rstrip("\n"))
    return ExitCode.OK


def script(parser: ArgumentParser, shell: Literal["bash", "zsh", "fish"]) -> str:
    """Give what ``shell`` reads to complete the command line of ``parser``, a tree of its own use."""
    # The releases of shtab that distributions have do not know fish.
    return fish.script(parser) if shell == "fish" else _by_shtab(parser, shell)


def _by_shtab(parser: ArgumentParser, shell: str) -> str:
    try:
        import shtab  # noqa: PLC0415 - what these two shells alone need
    except ImportError as error:
        raise PrerequisiteError(f"shtab cannot be imported: {error}", hint="install it: pip install shtab") from error
    for verb in argumenttree.verbs(parser).values():
        for action in argumenttree.own(verb):
            if words := argumenttree.words(action):
                # argparse would refuse others as a matter of usage; a setting has its own words for that.
                action.choices = words
            elif argumenttree.takes_path(action):
                action.complete = shtab.FILE  # type: ignore[attr-defined] # where shtab looks for it
    return shtab.complete(parser, shell)
