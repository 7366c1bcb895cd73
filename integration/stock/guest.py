"""A guest with the suite's programs at hand, in which a script runs with the shim or without it."""

from collections.abc import Mapping
from dataclasses import dataclass

from integration.conformance.launcher import Outcome, Prefix

# Where «darlingbuilder init» puts it, too.
SHIM = "/private/etc/darlingbuilder/compat.dylib"

CORRECTIONS = ("getsockopt", "proc_pidinfo", "lchflags", "accept", "poll", "signals", "spawn")

Preload = Mapping[str, str]

WITHOUT: Preload = {}
WHOLE: Preload = {"DYLD_INSERT_LIBRARIES": SHIM}


def only(*corrections: str) -> Preload:
    """Preload the shim with these corrections in force and no others."""
    return {**WHOLE, "DARLINGBUILDER_COMPAT": ",".join(corrections)}


def all_but(correction: str) -> Preload:
    return only(*(name for name in CORRECTIONS if name != correction))


@dataclass(frozen=True, slots=True)
class Guest:
    """A container of an ordinary user; ``programs`` is where it finds what compiler.py built."""

    prefix: Prefix
    programs: str

    def run(self, script: str, preload: Preload = WITHOUT) -> Outcome:
        """Run a bash script, itself under the shim; it finds the programs in $PROGRAMS.

        Exit codes prove nothing, for that of a killed child is lost: a test asks for what was printed.
        """
        variables = {"PROGRAMS": self.programs, **preload}
        words = (f"{name}={value}" for name, value in variables.items())
        return self.prefix.shell("/usr/bin/env", *words, "bash", "-c", script)
