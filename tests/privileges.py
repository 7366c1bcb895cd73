"""Tests of what an ordinary user may not do, which root could not see."""

import contextlib
import ctypes
from collections.abc import Iterator

# capabilities(7): CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root passes over permissions.
_PASSING_OVER = 1 << 1 | 1 << 2
_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextlib.contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Obey permission bits for a while, whoever runs the tests."""
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _call("capget", header, sets)
    before = sets[0].effective
    sets[0].effective = before & ~_PASSING_OVER
    _call("capset", header, sets)
    try:
        yield
    finally:
        sets[0].effective = before
        _call("capset", header, sets)


def _call(name: str, header: _Header, sets: object) -> None:
    if getattr(_libc, name)(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), name)
