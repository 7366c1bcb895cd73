"""The breaker: a builder that fails again and again is out of service for Nix, until it serves."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import failures, log
from darlingbuilder.core.failures import Record
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.machinesline import MachinesLine

# One failure may be a build that has eaten all memory; after so many in a row nothing speaks for the next start.
_FAILURES = 3
# After so many seconds of service a failure is the first of its row.
_STEADY = 300.0
# From so many starts on that have come to nothing each next one waits; likewise where it has served, but never long.
_STARTS, _FLAPS = 2, 10
_STEPS, _LONGEST_PAUSE = 5, 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Counts failures, and has the builder's line say which of both it is. ``clock``: seconds of the epoch.

    The unit calls it, outside of its walls: after each end with an error, and each time that it has begun to serve.
    While the breaker is open, that line names a machine that cannot be reached, at once and by a telling name: an
    empty file would have Nix say that it knows of no machine at all.
    """

    settings: Settings
    world: World
    clock: Callable[[], float] = time.time

    def failed(self, reason: str) -> None:
        """Count one more failure; the third in a row takes the builder out of service."""
        before, now = failures.read(self.settings, self.world.host), self.clock()
        steady = before and before.serving is not None and now - before.serving >= _STEADY
        count = 1 if before is None or steady else before.failures + 1
        since = before.since if before else None
        opens = self.settings.breaker and since is None and count >= _FAILURES
        vain = 0 if before is None or before.serving is not None else before.vain + 1
        record = Record(count, reason, vain, now if opens else since)
        failures.write(self.settings, self.world.host, record)
        if opens:
            MachinesLine(self.settings, self.world).write()
            log.error("the builder is out of service: Nix is told so until it serves", failures=count, why=reason)

    def serves(self) -> None:
        """Put the builder back into service, if it was out of it."""
        before = failures.read(self.settings, self.world.host)
        if before is None:
            return
        since = before.since
        record = msgspec.structs.replace(before, since=None, serving=self.clock())
        failures.write(self.settings, self.world.host, record)
        if since is not None:
            MachinesLine(self.settings, self.world).write()
            log.info("the builder is in service again", seconds_out_of_it=round(self.clock() - since))

    def forget(self) -> None:
        """Take what comes for the first failure: somebody has seen to it, and waits."""
        before = failures.read(self.settings, self.world.host)
        if before and before.failures:
            failures.write(self.settings, self.world.host, msgspec.structs.replace(before, failures=0, vain=0))

    def pause(self) -> float:
        """Say how many seconds the next start has to wait: more with each failure of a row.

        Not systemd's RestartSteps=: they know no success, so that a part killed now and then would in the end cost a
        pause each time; and before systemd 254 there are none.
        """
        before = failures.read(self.settings, self.world.host)
        if before is None:
            return 0.0
        beyond = max(before.vain - _STARTS, before.failures - _FLAPS)
        return 0.0 if beyond < 0 else min(2.0 ** min(beyond + 1, _STEPS), _LONGEST_PAUSE)
