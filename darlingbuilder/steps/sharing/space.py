"""The free space of the file system that holds the guest's store, where Nix itself cannot look after it."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters import process, volumes
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.core import log
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings, bytes_of

# As Nix's min-free-check-interval.
_SECONDS = 5.0
# As Nix does it: not again before a little more is used than a collection left (libstore, LocalStore::autoGC).
_WORTHWHILE = 0.97


def _collector(free: int, state: Path) -> Running:
    """Start a collection that frees so many bytes; its words go where ours go, the journal."""
    words = (sys.executable, "-m", "darlingbuilder", "gc", "--state", str(state), "--free", str(free))
    return process.spawn(*words, start=Start(), log=sys.stderr.buffer)


@dataclass
class FreeSpace:
    """Collects garbage below ``min_free`` until there is ``max_free``; one collection at a time, beside the builds.

    A Nix in the guest would take the host's paths, which it sees, for garbage.
    """

    settings: Settings
    place: Path
    collect: Callable[[int, Path], Running] = _collector
    free: Callable[[Path], int] = volumes.free
    _running: Running | None = None
    _next: float = 0.0
    _left: float = field(default=float("inf"))

    def look(self) -> None:
        """See whether it is time for a collection; between two looks at the disk this costs nothing."""
        low, high = bytes_of(self.settings.min_free), bytes_of(self.settings.max_free)
        if not low or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _SECONDS
        available = self.free(self.place)
        if self._running:
            if self._running.poll() is None:
                return
            self._running, self._left = None, available
        if available >= min(low, high) or available > self._left * _WORTHWHILE:
            return
        log.info("collecting garbage", free=available, wanted=high)
        self._running = self.collect(high - available, Paths(self.settings).state)

    def end(self) -> None:
        """End a collection that runs."""
        if self._running and self._running.poll() is None:
            process.end(self._running)
        self._running = None
