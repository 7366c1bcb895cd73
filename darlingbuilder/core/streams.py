"""The standard streams, made such that whoever starts us, and however, a command can read and print."""

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Heedless(io.FileIO):
    """A stream whose reader (head, a log's collector) may go: from then on it leads nowhere, and work goes on."""

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write ``content``, where it leads somewhere."""
        try:
            return super().write(content)
        except BrokenPipeError:
            _lead_nowhere(self.fileno())
            return memoryview(content).nbytes


def secure() -> None:
    """Open what was closed, or a file would take its place; nor is it an error that nobody reads stderr.

    Neither is what cannot be encoded.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = sys.stderr.encoding if sys.stderr else "utf-8"
        raw = io.BufferedWriter(_Heedless(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name of a file may hold any bytes; and in a locale without UTF-8, a «?» says more than a traceback.
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "replace")


def abandon_output() -> None:
    """Keep Python from complaining once more when it flushes at its end what nobody takes."""
    _lead_nowhere(sys.stdout.fileno())


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
