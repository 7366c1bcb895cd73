"""Nix's own locks on store paths, as its PathLocks takes them (libstore, pathlocks.cc)."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from darlingbuilder.core import lock

# A guest may have put a link or a pipe there.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_STALE = b"d"
_ATTEMPTS = 3


@contextlib.contextmanager
def held(store: int, names: Iterable[str]) -> Iterator[frozenset[str]]:
    """Hold the locks of ``names`` in the directory ``store``, and give those that nobody else held."""
    locks: dict[str, int] = {}
    try:
        # In sorted order, as Nix does.
        for name in sorted(names):
            if (descriptor := _taken(store, f"{name}.lock")) is not None:
                locks[name] = descriptor
        yield frozenset(locks)
    finally:
        for name, descriptor in locks.items():
            _given_back(store, f"{name}.lock", descriptor)


def _taken(store: int, name: str) -> int | None:
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(name, _FLAGS, 0o600, dir_fd=store)
        except OSError:
            return None
        if not (lock.taken(descriptor) and stat.S_ISREG(os.fstat(descriptor).st_mode)):
            os.close(descriptor)
            return None
        if not os.fstat(descriptor).st_size:
            return descriptor
        # Its last holder has removed it while we opened it; one that is still there is left from a crash.
        _removed(store, name, descriptor)
        os.close(descriptor)
    return None


def _given_back(store: int, name: str, descriptor: int) -> None:
    """Remove the file, and tell whoever waits for it that it is stale; one that cannot be removed is nobody's."""
    # What cannot be done must not take the place of what is being raised. An empty file is in nobody's way.
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=store)
        _tell_stale(descriptor)
    os.close(descriptor)


def _tell_stale(descriptor: int) -> None:
    try:
        os.write(descriptor, _STALE)
    except OSError:
        # Nix looks at the length alone, which a file has in a store that is full, too: it takes no block.
        os.ftruncate(descriptor, len(_STALE))


def _removed(store: int, name: str, descriptor: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.stat(name, dir_fd=store, follow_symlinks=False), os.fstat(descriptor)):
            os.unlink(name, dir_fd=store)
