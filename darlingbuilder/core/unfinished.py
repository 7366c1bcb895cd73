"""Files that are written beside their place, to be moved there once they are whole."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator

from darlingbuilder.core.owner import Owner

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# A name has 255 bytes at most, with our ending; that of a store path alone may have 244.
_LENGTH = 200
_ENDING = r"\.[0-9a-f]{8}\.darlingbuilder"


def name_for(name: str) -> str:
    """Give a new name for what is to be ``name``."""
    return f".{name[:_LENGTH]}.{secrets.token_hex(4)}.darlingbuilder"


def is_for(name: str, found: str) -> bool:
    """Whether ``found`` was to be ``name``."""
    return re.fullmatch(rf"\.{re.escape(name[:_LENGTH])}{_ENDING}", found) is not None


@contextlib.contextmanager
def written(parent: int, name: str, content: bytes, mode: int, owner: Owner | None) -> Iterator[str]:
    """Give the name of a finished file beside ``name``, for it to be moved there; it is gone afterwards."""
    temporary = name_for(name)
    descriptor = os.open(temporary, _NEW, 0o600, dir_fd=parent)
    try:
        _fill(descriptor, content, mode, owner)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
    os.fsync(parent)


def _fill(descriptor: int, content: bytes, mode: int, owner: Owner | None) -> None:
    with open(descriptor, "wb") as file:
        if owner:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
