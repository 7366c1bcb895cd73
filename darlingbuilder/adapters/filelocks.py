"""The two kinds of locks that programs take on files, tried between two open files."""

import contextlib
import fcntl
import struct
from collections.abc import Callable, Iterator

# ``struct flock`` for the whole file; of an open file, for those of a process never stand in its own way.
_FLOCK = struct.Struct("hhqqi0q")
Take = Callable[[int], object]


def kept_out(held: int, tried: int) -> list[str]:
    """Name the kinds of lock that cannot be taken on ``tried`` while they are held on ``held``, another open file.

    Raises OSError where one cannot be had at all.
    """
    found = []
    for kind, (take, release) in _KINDS.items():
        with _held(held, take, release):
            try:
                take(tried)
            except (BlockingIOError, PermissionError):  # EAGAIN, or what older file systems say instead
                found.append(kind)
            else:
                release(tried)
    return found


@contextlib.contextmanager
def _held(descriptor: int, take: Take, release: Take) -> Iterator[None]:
    take(descriptor)
    try:
        yield
    finally:
        release(descriptor)


def _set(descriptor: int, kind: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, 0, 0, 0, 0))


_KINDS: dict[str, tuple[Take, Take]] = {
    "flock": (
        lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB),
        lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_UN),
    ),
    "fcntl": (
        lambda descriptor: _set(descriptor, fcntl.F_WRLCK),
        lambda descriptor: _set(descriptor, fcntl.F_UNLCK),
    ),
}
