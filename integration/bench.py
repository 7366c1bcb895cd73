"""``make bench``: times on one machine in one run, each as a ratio to a named baseline.

The baseline is the seed's way. What it costs depends on the Darling: a warm call took 100 to 140 ms with a real one
(FACTS), with the stand-in it takes a few milliseconds, so that ratios are meant for ``--darling``.
"""

import statistics
import sys
import time
from collections.abc import Callable

from integration.suite.equipment import Equipment
from integration.suite.site import Site

ROUNDS = 7
# The seed's module makes about this many calls of the launcher at every start, one after the other.
SEED_CALLS = 20


def main() -> int:
    """Print the table."""
    equipment = Equipment.from_command_line(__doc__)
    with equipment.machine("trixie") as machine:
        machine.boot()
        site = equipment.site(machine)
        first = _seconds(lambda: site.tool("init"))
        baseline = _median(lambda: _seed(site))
        converged = _median(lambda: site.tool("init"))
        _row("first init, from nothing", first, baseline)
        _row(f"seed's way: {SEED_CALLS} calls of the launcher", baseline, baseline)
        _row("one of these calls", baseline / SEED_CALLS, baseline)
        _row("init of a converged machine", converged, baseline)
        _row("status", _median(lambda: site.tool("status", check=False)), baseline)
        _row("a command in the machine (the bench's own cost)", _median(lambda: machine.run("true")), baseline)
    return 0


def _seed(site: Site) -> None:
    """Call the launcher as the seed's script does, from a shell, with nothing of ours in between."""
    script = f"for i in $(seq {SEED_CALLS}); do {site.launcher} shell true; done"
    site.machine.run(
        "sh", "-c", script, user="darlingbuilder", env={"DPREFIX": "/var/lib/darling-builder/guest/prefix"}
    )


def _median(action: Callable[[], object]) -> float:
    return statistics.median(_seconds(action) for _ in range(ROUNDS))


def _seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _row(what: str, seconds: float, baseline: float) -> None:
    sys.stdout.write(f"{what:50} {seconds:8.3f} s   {seconds / baseline:6.2f} x the seed's way\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
