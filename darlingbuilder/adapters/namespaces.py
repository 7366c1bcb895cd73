"""A bind mount in the mount namespace of another process, made without running anything that lies there.

The guest's user can plant links in the prefix, also between a look and a use. A mount(8) started by nsenter(1)
would follow them, and would itself be looked up in that namespace.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from darlingbuilder.core.errors import DarlingError

_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_O_PATH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


def bind(source: Path, below: Path, target: Path, *, namespace_of: int) -> None:
    """Bind ``source`` on ``target`` below the directory ``below``, as the process ``namespace_of`` sees them.

    No link is followed, neither in ``below`` itself nor on the way down from it. Raises DarlingError.
    """
    error = _in_child(lambda: _bind(source, below, target, namespace_of))
    if error:
        raise DarlingError(
            f"{source} cannot be mounted on {target} in the container of {below}: {os.strerror(error)}",
            hint="somebody in the guest may have put a link or a file there; remove it, then: darlingbuilder restart",
        )


def _bind(source: Path, below: Path, target: Path, namespace_of: int) -> None:
    namespace = os.open(f"/proc/{namespace_of}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    _check(_libc.setns(namespace, _CLONE_NEWNS))
    place = os.open(below, _O_PATH)
    for name in target.relative_to("/").parts:
        place = os.open(name, _O_PATH, dir_fd=place)
    _check(_libc.mount(os.fsencode(source), f"/proc/self/fd/{place}".encode(), None, _MS_BIND, None))


def _check(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), "")


def _in_child(action: Callable[[], None]) -> int:
    """Run ``action`` in a process of its own, which alone enters the namespace. Gives its errno, 0 for success."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 1)
        except BaseException:  # noqa: BLE001 - nothing may run on in this process
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
