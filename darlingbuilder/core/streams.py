"""The standard streams, made such that whoever starts us, and however, a command can read and print."""

import io
import os
import sys


def secure() -> None:
    """Open what was closed, or a file would take its place; and have what cannot be encoded be no error."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name of a file may hold any bytes; and in a locale without UTF-8, a «?» says more than a traceback.
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "replace")
