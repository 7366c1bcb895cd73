"""The compat shim: where the built library lies, and what it corrects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from darlingbuilder.core.errors import PrerequisiteError

_PACKAGE = Path(__file__).parents[1]

# As guest/corrections.h has them, in its order; guest/compat.c says which defect of Darling's each answers.
CORRECTIONS: Final[Mapping[str, str]] = {
    "getsockopt": "an IPv4 connection has no IP options",
    "proc_pidinfo": "closing descriptors prints nothing",
    "lchflags": "a symbolic link has no flags, as no file here has",
    "accept": "accept() may be given no address",
    "poll": "a poll() without a limit can be cancelled",
    "signals": "a fatal signal ends its own process alone",
    "spawn": "what a program starts is corrected as well",
}


def dylib(package: Path = _PACKAGE) -> Path:
    """Give the built library. Raises PrerequisiteError if this installation has none."""
    built = package / "guest" / "compat.dylib"
    if not built.is_file():
        raise PrerequisiteError(
            f"{built}: the compat shim was not built",
            hint="install darlingbuilder from its wheel, or again from its source, which builds it; "
            'a Darling without these defects works with compat = "never"',
        )
    return built
