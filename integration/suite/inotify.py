"""Counts how often a file is opened, an exec included."""

import ctypes
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_OPEN = 0x20
_EVENT_BYTES = 16
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """A watch on one file, from entering to leaving the context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if _libc.inotify_add_watch(self._descriptor, os.fsencode(self._path), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {self._path}")
        return self

    def opened(self) -> int:
        """Give the number of openings so far that were not counted yet."""
        try:
            return len(os.read(self._descriptor, 1 << 16)) // _EVENT_BYTES
        except BlockingIOError:
            return 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
