"""Directories opened by their names, without a link on the way where others may have planted some."""

import enum
import os
from pathlib import Path, PurePosixPath

from darlingbuilder.core.errors import GuestPathError

REPLACED = "somebody in the guest has replaced it; remove it, or make a new prefix: darlingbuilder reset"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Links(enum.Enum):
    """Whether symbolic links among the parents of a path are followed.

    The guest's user may plant links in the prefix; root must not follow them.
    """

    FOLLOWED = "followed"
    REFUSED = "refused"


def open_directory(root: Path, relative: PurePosixPath, links: Links) -> int:
    """Open the directory ``relative`` below ``root``, and give its descriptor, which is the caller's to close."""
    return os.open(root / relative, _DIRECTORY) if links is Links.FOLLOWED else _descend(root, relative)


def _descend(root: Path, relative: PurePosixPath) -> int:
    """Open ``relative`` component by component, so that no link on the way is followed."""
    descriptor = os.open(root, _DIRECTORY | os.O_NOFOLLOW)
    for name in relative.parts:
        outer = descriptor
        try:
            descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        except NotADirectoryError:
            raise GuestPathError(f"{root / relative}: {name} is no directory of its own", hint=REPLACED) from None
        finally:
            os.close(outer)
    return descriptor
