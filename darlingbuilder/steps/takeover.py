"""Directories that a builder makes its own: never one in which somebody else keeps something."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import Tree

# What a file system has in its root from the first, before anybody has put anything there.
_OF_A_NEW_DISK = frozenset({"lost+found"})


@dataclass(frozen=True, slots=True)
class Claim:
    """The directory ``path``, which will belong to ``owner`` with ``mode``; None is a user who is yet to be made.

    ``names``: what is the builder's there, if the directory has that owner already. ``example``: a value of the
    setting ``setting``, for which nothing would change hands.
    """

    path: Path
    setting: str
    mode: int
    owner: Owner | None
    user: str
    example: Path
    names: frozenset[str] = frozenset()


def refuse_inhabited(claim: Claim, host: Tree) -> None:
    """Raise ForeignFileError where a claim would give away, open or close what somebody else keeps files in."""
    found = host.directory(claim.path)
    if found is None or (found.owner, found.mode) == (claim.owner, claim.mode):
        return
    ours = _OF_A_NEW_DISK | (claim.names if found.owner == claim.owner else frozenset())
    others = [name for name in host.names(claim.path) if name not in ours]
    if others:
        raise ForeignFileError(
            f"{claim.path} holds {others[0]}, and would belong to {claim.user}, with mode {claim.mode:04o}",
            hint=f'choose a directory of its own below it, for example {claim.setting} = "{claim.example}"; or, if '
            "all that it holds is the builder's, give it that owner and mode yourself",
        )
