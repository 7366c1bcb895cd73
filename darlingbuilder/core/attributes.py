"""What a look at a path tells of it."""

import enum
import os
import stat
from dataclasses import dataclass

from darlingbuilder.core.owner import Owner


class Kind(enum.Enum):
    """What a name in a directory is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What ``lstat`` says of a path; ``mode`` holds the permission bits alone."""

    kind: Kind
    mode: int
    owner: Owner
    mtime_ns: int
    size: int


def described(found: os.stat_result) -> Attributes:
    """Tell what a look at a file has found."""
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}
    return Attributes(
        kind=kinds.get(stat.S_IFMT(found.st_mode), Kind.OTHER),
        mode=stat.S_IMODE(found.st_mode),
        owner=Owner(found.st_uid, found.st_gid),
        mtime_ns=found.st_mtime_ns,
        size=found.st_size,
    )
