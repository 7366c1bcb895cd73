"""How far work has come, on stderr: a bar on a terminal, a line now and then elsewhere, nothing with --quiet."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from darlingbuilder.commands import screen
from darlingbuilder.core import log, size

_SECONDS_BETWEEN_LINES = 5.0
Moved = Callable[[int], None]


@contextmanager
def bytes_moved(what: str, total: int, *, quiet: bool) -> Iterator[Moved]:
    """Show that ``what`` goes on while the block runs; it calls what it is given with each portion of bytes.

    ``total`` is an estimate: an archive's framing comes on top of it.
    """
    if quiet or not total:
        yield _unseen
    elif screen.on_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb":
        with _bar(what, total) as moved:
            yield moved
    else:
        yield _Lines(what, total).moved


def _unseen(_count: int) -> None:
    """Show nothing."""


class _Lines:
    """A line at the beginning, and one whenever some seconds have passed."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._next = time.monotonic() + _SECONDS_BETWEEN_LINES
        log.info(what, bytes=size.told(total))

    def moved(self, count: int) -> None:
        self._done = min(self._done + count, self._total)
        if time.monotonic() >= self._next:
            log.info(self._what, done=size.told(self._done), of=size.told(self._total))
            self._next = time.monotonic() + _SECONDS_BETWEEN_LINES


@contextmanager
def _bar(what: str, total: int) -> Iterator[Moved]:
    # It obeys NO_COLOR by itself; 60 ms that only a terminal has to wait for.
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
