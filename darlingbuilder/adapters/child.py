"""A process of our own for what would change this one for good: its namespaces, its user."""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator

_libc = ctypes.CDLL(None, use_errno=True)


def failure_of(action: Callable[[], None]) -> str:
    """Run ``action`` in a child. Gives why it failed there, in the words of its OSError; empty if it did not."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os._exit(_ended(action, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        words = told.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return words or (f"the child that was to do it ended with {code}" if code else "")


@contextlib.contextmanager
def waiting(before: Callable[[], None]) -> Iterator[int]:
    """Give the pid of a child that has done ``before`` and then waits. Raises OSError if it could not."""
    (ready, tell), (heard, release) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        os._exit(_ended(before, tell) or _silence(tell, heard))
    os.close(tell)
    os.close(heard)
    try:
        with os.fdopen(ready, "rb") as told:
            if words := told.read().decode(errors="replace"):
                raise OSError(words)
        yield pid
    finally:
        os.close(release)
        os.waitpid(pid, 0)


def unshare(namespaces: int) -> None:
    """Give this process new namespaces, of the kinds in ``namespaces``."""
    _checked(_libc.unshare(namespaces))


def enter(namespace: int, kind: int) -> None:
    """Enter the open ``namespace`` of ``kind``."""
    _checked(_libc.setns(namespace, kind))


def _ended(action: Callable[[], None], writer: int) -> int:
    """Do ``action``, and write down why it failed. Nothing may run on in a child, so this gives its exit code."""
    try:
        action()
    except OSError as error:
        os.write(writer, (error.strerror or str(error)).encode()[:4096])
        return 1
    except BaseException as error:  # noqa: BLE001 - as above
        os.write(writer, repr(error).encode()[:4096])
        return 1
    return 0


def _silence(tell: int, heard: int) -> int:
    """Say by closing ``tell`` that all is done, then wait until the other end of ``heard`` is closed."""
    os.close(tell)
    os.read(heard, 1)
    return 0


def _checked(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
