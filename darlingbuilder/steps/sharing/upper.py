"""The upper layer of the guest's store, as its user sees it from the host: what is the guest's own."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core import descent
from darlingbuilder.core.errors import GuestPathError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Upper:
    """An open directory; made and used by a process that is the guest's user, whose links lead it nowhere new."""

    descriptor: int

    def names(self) -> set[str]:
        """List what is the guest's own; a whiteout, by which the overlay hides something of the host's, is not."""
        return {
            entry.name for entry in os.scandir(self.descriptor) if not _is_whiteout(entry.stat(follow_symlinks=False))
        }

    def has(self, name: str) -> bool:
        """Whether ``name`` is the guest's own."""
        found = self._stat(name)
        return found is not None and not _is_whiteout(found)

    def occupied(self, name: str) -> bool:
        """Whether ``name`` of the host's is not seen through this layer."""
        return self._stat(name) is not None

    def remove(self, name: str) -> bool:
        """Remove ``name`` whole. Says whether it is gone."""
        with contextlib.suppress(OSError, GuestPathError):
            descent.remove(self.descriptor, name, entering=_make_writable)
        return self._stat(name) is None

    def leftover(self) -> set[str]:
        """List all but what Nix keeps for itself («.links»): what of it is no valid path, only Nix can tell."""
        return {entry.name for entry in os.scandir(self.descriptor) if not entry.name.startswith(".")}

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def opened(store: Path) -> Iterator[Upper]:
    """Open the layer that lies in ``store``."""
    descriptor = os.open(store, _DIRECTORY)
    try:
        yield Upper(descriptor)
    finally:
        os.close(descriptor)


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _make_writable(parent: int, name: str) -> None:
    """Let us remove what is in the directory ``name``: Nix leaves some that nobody may write."""
    handle = os.open(name, _HANDLE, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101 - by its descriptor
    finally:
        os.close(handle)
