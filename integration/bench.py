"""``make bench``: times on one machine in one run, each as a ratio to a named baseline.

For a start the baseline is the seed's way, for an input it is Nix's own, a copy over ssh-ng. What the first costs
depends on the Darling: a warm call took 100 to 140 ms with a real one (FACTS), with the stand-in it takes a few
milliseconds, so that its ratios are meant for ``--darling``.
"""

import statistics
import sys
from collections.abc import Callable

from integration.benchstore import BASELINE, StoreBench, seconds
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
        first = seconds(lambda: site.tool("init"))
        baseline = _median(lambda: _seed(site))
        converged = _median(lambda: site.tool("init"))
        _row("first init, from nothing", first, baseline)
        _row(f"seed's way: {SEED_CALLS} calls of the launcher", baseline, baseline)
        _row("one of these calls", baseline / SEED_CALLS, baseline)
        _row("init of a converged machine", converged, baseline)
        _row("status", _median(lambda: site.tool("status", check=False)), baseline)
        _row("a command in the machine (the bench's own cost)", _median(lambda: machine.run("true")), baseline)
        StoreBench(site, _say).run()
    return 0


def _seed(site: Site) -> None:
    """Call the launcher as the seed's script does, from a shell, with nothing of ours in between."""
    script = f"for i in $(seq {SEED_CALLS}); do {site.launcher} shell true; done"
    site.machine.run(
        "sh", "-c", script, user="darlingbuilder", env={"DPREFIX": "/var/lib/darling-builder/guest/prefix"}
    )


def _median(action: Callable[[], object]) -> float:
    return statistics.median(seconds(action) for _ in range(ROUNDS))


def _row(what: str, took: float, baseline: float) -> None:
    sys.stdout.write(f"{what:50} {took:8.3f} s   {took / baseline:6.2f} x the seed's way\n")
    sys.stdout.flush()


def _say(what: str, how: str, took: float, baseline: float) -> None:
    sys.stdout.write(f"{what + ', ' + how:72} {took:8.3f} s   {baseline / took:6.1f} x as fast as {BASELINE}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
