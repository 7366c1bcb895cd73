"""One ``init`` or ``uninstall`` at a time, by a lock on a file."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from darlingbuilder.core import log, wait
from darlingbuilder.core.errors import LockedError

# The purpose of whoever is begun by systemd, not by a person, and ends in seconds: he is waited for.
STARTING = "start of the unit"
# Seconds for a start of the unit to end, and for whoever is met that is about to.
PATIENCE = 120.0


class Lock:
    """An exclusive lock that the kernel lets go when the process ends; the file says who holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _opened(path)
        self._signed = False

    def take(self) -> bool:
        """Take the lock if nobody holds it, and say whether it is ours."""
        while taken(self._descriptor):
            if self._is_in_place():
                return True
            # Its last holder has removed the file: whoever comes next would lock another one.
            os.close(self._descriptor)
            self._descriptor = _opened(self._path)
        return False

    def sign(self, purpose: str) -> None:
        """Write into the file who holds the lock."""
        self._signed = True
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"darlingbuilder {purpose} (pid {os.getpid()})\n".encode(), 0)

    def holder(self) -> str:
        """Say who holds the lock."""
        named = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip()
        return named or "another darlingbuilder"

    def is_starting(self) -> bool:
        """Whether the start of the unit holds the lock."""
        return self.holder().startswith(f"darlingbuilder {STARTING} ")

    def remove(self) -> None:
        """Remove the file of the lock, which must be held until then: who waits for it makes another."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let the lock go. Succeeds if that was done already."""
        if self._descriptor >= 0:
            if self._signed:
                # The next holder need not be one who signs.
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False


def taken(descriptor: int) -> bool:
    """Take the lock of an open file, exclusively, if nobody else has it, and say whether it is ours."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def held(path: Path, *, purpose: str, seconds: float) -> Iterator[Lock]:
    """Hold the lock at ``path``, waiting ``seconds`` for it, and longer while the unit starts.

    Raises LockedError with the holder's name.
    """
    lock = Lock(path)
    try:
        if not (wait.until(lock.take, seconds=seconds) or _outlasts_start(lock)):
            raise LockedError(f"{lock.holder()} is at work", hint="wait until it has ended, then try again")
        lock.sign(purpose)
        yield lock
    finally:
        lock.release()


def _outlasts_start(lock: Lock) -> bool:
    """Wait for a start of the unit to let the lock go, and take it then."""
    if not lock.is_starting():
        return False
    log.info("waiting", holder=lock.holder())
    return wait.until(lock.take, seconds=PATIENCE)


def _opened(path: Path) -> int:
    # Root's alone: whoever may read a file may lock it, and keep everybody waiting.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
