"""How far work has come, on stderr: a bar on a terminal, a line now and then elsewhere, nothing with --quiet."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

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
    elif _is_watched():
        with _bar(what, total) as moved:
            yield moved
    else:
        yield _Lines(what, total).moved


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Show on a terminal which step is at work, and for how long; the block says each to what it is given.

    Elsewhere, and where nothing is to be said, what announces the steps is all there is.
    """
    with ExitStack() as shown:
        clock: list[Callable[[str], None]] = []

        def at(step: str) -> None:
            # Only now: a converged run has nothing to show, and no time for rich.
            if not clock and _is_watched() and not log.is_quiet():
                clock.append(shown.enter_context(_clock()))
            for show in clock:
                show(step)

        yield at


@contextmanager
def _clock() -> Iterator[Callable[[str], None]]:
    from rich.console import Console  # noqa: PLC0415 - as below
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as below

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("")
        yield lambda step: progress.reset(task, description=step)


def _is_watched() -> bool:
    return screen.on_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb"


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
