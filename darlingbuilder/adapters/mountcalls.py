"""The kernel's newer mount calls, for which neither Python nor an older libc has names."""

import contextlib
import ctypes
import os
from pathlib import Path

# The same numbers on every architecture (Linux 5.2, the last one 5.12).
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK, _MOUNT_SETATTR = (*range(428, 434), 442)
_AT_EMPTY_PATH = 0x1000
_CLOEXEC = os.O_CLOEXEC
_OPEN_TREE_CLONE = 1
# Both ends are descriptors.
_MOVE_FROM_EMPTY_PATH, _MOVE_TO_EMPTY_PATH = 0x4, 0x40
_FSPICK_CLOEXEC, _FSPICK_EMPTY_PATH = 0x1, 0x8
_SET_STRING, _CREATE, _RECONFIGURE = 1, 6, 7
_PRIVATE = 1 << 18
_RECURSIVE = 1 << 14
_BIND = 1 << 12

READ_ONLY, NO_SUID, NO_DEVICES = 1, 2, 4
_ID_MAPPED = 0x100000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Attributes(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


def clone(directory: int) -> int:
    """Clone the mount that the open ``directory`` lies on, that directory its root; it is attached nowhere."""
    flags = _OPEN_TREE_CLONE | _CLOEXEC | _AT_EMPTY_PATH
    return _call(_OPEN_TREE, directory, b"", flags, what="the mount cannot be cloned")


def make_writable(tree: int) -> None:
    """Lift «read-only» from the clone ``tree``, not from what it is a clone of."""
    _change(tree, _Attributes(clear=READ_ONLY, propagation=_PRIVATE), "the clone cannot be made writable")


def show_as_others(tree: int, user_namespace: int) -> None:
    """Have the clone ``tree`` show owners as ``user_namespace`` maps them; read-only, and nothing is privileged."""
    wanted = READ_ONLY | NO_SUID | NO_DEVICES | _ID_MAPPED
    changes = _Attributes(set=wanted, propagation=_PRIVATE, user_namespace=user_namespace)
    _change(tree, changes, "it cannot be mounted id-mapped")


def attach(tree: int, directory: int) -> None:
    """Attach the clone or new file system ``tree`` at the open ``directory``."""
    flags = _MOVE_FROM_EMPTY_PATH | _MOVE_TO_EMPTY_PATH
    _call(_MOVE_MOUNT, tree, b"", directory, b"", flags, what="it cannot be attached")


def detach(tree: int) -> None:
    """Take the attached ``tree`` from where it is; whoever has it open keeps it."""
    _checked(_libc.umount2(f"/proc/self/fd/{tree}".encode(), _MNT_DETACH), "it cannot be detached")


def bind(source: Path, directory: int) -> None:
    """Bind ``source`` on the open ``directory``."""
    target = f"/proc/self/fd/{directory}".encode()
    _checked(_libc.mount(os.fsencode(source), target, None, _BIND, None), "it cannot be bound there")


def isolate() -> None:
    """Keep to this mount namespace, which must be our own, whatever is mounted in it from now on."""
    _checked(_libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None), "mounts cannot be kept to ourselves")


def make(kind: str, **options: str) -> int:
    """Make a file system of ``kind``, attached nowhere, that honours neither set-user-ID bits nor devices."""
    context = _call(_FSOPEN, kind.encode(), 1, what=f"the kernel has no {kind}")
    try:
        for option, value in options.items():
            _configure(context, _SET_STRING, option.encode(), value.encode())
        _configure(context, _CREATE, None, None)
        return _call(_FSMOUNT, context, 1, NO_SUID | NO_DEVICES, what=f"{kind} cannot be mounted")
    finally:
        os.close(context)


def refresh(directory: int) -> None:
    """Have the file system at the open ``directory`` forget which names it has looked up, found or not."""
    context = _call(_FSPICK, directory, b"", _FSPICK_CLOEXEC | _FSPICK_EMPTY_PATH, what="it cannot be reconfigured")
    try:
        _configure(context, _RECONFIGURE, None, None)
    finally:
        os.close(context)


def _configure(context: int, command: int, key: bytes | None, value: bytes | None) -> None:
    what = f"the option {key.decode()} is refused" if key else "it is refused"
    try:
        _call(_FSCONFIG, context, command, key, value, 0, what=what)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{_words(context)}") from None


def _words(context: int) -> str:
    """Give what the kernel has to say, ready to be added to a message."""
    said = []
    # One message for each read, until there are no more.
    with contextlib.suppress(OSError):
        while message := os.read(context, 1024):
            said.append(message[2:].decode(errors="replace").strip())
    return f" ({'; '.join(said)})" if said else ""


def _change(tree: int, attributes: _Attributes, what: str) -> None:
    size = ctypes.sizeof(attributes)
    _call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size, what=what)


def _call(number: int, *arguments: object, what: str) -> int:
    wide = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    return _checked(_libc.syscall(ctypes.c_long(number), *wide), what)


def _checked(status: int, what: str) -> int:
    if status < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return status
