"""The argument tree, as those verbs walk it that write something of it."""

import argparse
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from darlingbuilder.core import declaration
from darlingbuilder.core.declaration import Setting


def verbs(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """Give the parser of each verb, by its name."""
    actions = parser._actions  # noqa: SLF001 - argparse has no public way to walk its tree
    return next(
        dict(action.choices)
        for action in actions
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )


def own(parser: ArgumentParser) -> list[argparse.Action]:
    """List the arguments of ``parser`` itself, without its commands."""
    hidden = (argparse._SubParsersAction, argparse._HelpAction)  # noqa: SLF001 - as above
    return [action for action in parser._actions if not isinstance(action, hidden)]  # noqa: SLF001


def setting_of(action: argparse.Action) -> Setting | None:
    """Give the setting whose flag it is."""
    # Not by its name: «keys --user» is no setting.
    return next((setting for setting in declaration.table().values() if setting.variable == action.dest), None)


def words(action: argparse.Action) -> Sequence[str]:
    """List what it takes, where that can be listed."""
    setting = setting_of(action)
    return setting.words if setting else [str(choice) for choice in action.choices or ()]


def takes_path(action: argparse.Action) -> bool:
    """Whether it takes the name of a file."""
    setting = setting_of(action)
    return setting.is_path if setting else action.type is Path or action.metavar == "FILE"


def help_of(action: argparse.Action) -> str:
    """Give its help as it is read."""
    return (action.help or "").replace("%%", "%")
