"""The compat shim: where the built library lies, and what it corrects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from darlingbuilder.core.errors import PrerequisiteError

_DYLIB = Path(__file__).parents[1] / "guest" / "compat.dylib"

CORRECTIONS: Final[Mapping[str, str]] = {
    "getsockopt": "an IPv4 connection has no IP options",
    "proc_pidinfo": "closing descriptors prints nothing",
    "lchflags": "a symbolic link has no flags, as no file here has",
    "accept": "accept() may be given no address",
    "poll": "a poll() without a limit can be cancelled",
    "signals": "a fatal signal ends its own process alone",
    "spawn": "what a program starts is corrected as well",
}


def dylib() -> Path:
    """Give the built library. Raises PrerequisiteError if this installation has none."""
    if not _DYLIB.is_file():
        raise PrerequisiteError(
            f"{_DYLIB}: the compat shim was not built",
            hint='install darlingbuilder from its wheel; a Darling without these defects works with compat = "never"',
        )
    return _DYLIB
