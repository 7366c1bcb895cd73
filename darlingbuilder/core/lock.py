"""One ``init`` or ``uninstall`` at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from darlingbuilder.core import wait
from darlingbuilder.core.errors import LockedError


class Lock:
    """An exclusive lock that the kernel lets go when the process ends; the file says who holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go. Succeeds if that was done already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextlib.contextmanager
def held(path: Path, *, purpose: str, seconds: float) -> Iterator[Lock]:
    """Hold the lock at ``path``, waiting ``seconds`` for it. Raises LockedError with the holder's name."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    lock = Lock(descriptor)
    try:
        if not wait.until(lambda: _taken(descriptor), seconds=seconds):
            raise LockedError(f"{_holder(descriptor)} is at work", hint="wait until it has ended, then try again")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"darlingbuilder {purpose} (pid {os.getpid()})\n".encode(), 0)
        yield lock
    finally:
        lock.release()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    named = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    return named or "another darlingbuilder"
