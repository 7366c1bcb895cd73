"""Whom a file belongs to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and group that a file belongs to."""

    uid: int
    gid: int
