"""The end of a builder's service: nobody is let in any more, and who is in may end."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from darlingbuilder.adapters import process
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, wait
from darlingbuilder.core.errors import SystemdError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.listening import Listening
from darlingbuilder.steps.overview.builds import SESSIONS

# What tells serve that builds are not to be waited for, be it before it is told to stop or while it drains.
AT_ONCE = signal.SIGUSR1
# Of a connection that was let in at the last moment. One that says nothing must not cost the whole grace.
_SECONDS_TO_LOG_IN = 3.0
# Of the time that systemd leaves a unit when the machine goes down, that of the container's shutdown.
_SECONDS_TO_SHUT_DOWN = 15.0
_SECONDS_BETWEEN_REPORTS = 5.0


@dataclass(frozen=True, slots=True)
class Draining:
    """The drain of one run. ``tell`` takes lines of sd_notify(3); ``is_over``: whether builds are not waited for."""

    settings: Settings
    world: World
    tell: Callable[..., None]
    is_over: Callable[[], bool]

    def run(self, meanwhile: Callable[[], None]) -> None:
        """Take no new connection, and give running builds their grace; ``meanwhile`` is done all the time."""
        self._close()
        began = time.monotonic()
        deadline = began + self.settings.grace

        def done() -> bool:
            meanwhile()
            return self.is_over() or not self._is_busy(time.monotonic() - began)

        while not done() and (left := (deadline := self._earlier(deadline)) - time.monotonic()) > 0:
            self.tell(f"STATUS=draining {self._builds()} connection(s) with builds, {left:.0f} s left")
            wait.until(done, seconds=min(_SECONDS_BETWEEN_REPORTS, left))
        if builds := self._builds():
            log.warning("builds cut off", connections=builds, after=round(time.monotonic() - began))

    def _close(self) -> None:
        listener = Listening(self.settings, self.world).process()
        if listener:
            # The launcher swallows SIGTERM; sshd itself is a process of the host. Its sessions go on.
            process.kill(listener.pid, signal.SIGTERM)

    def _is_busy(self, seconds: float) -> bool:
        return bool(self._builds()) or (seconds < _SECONDS_TO_LOG_IN and self._count(_is_connection) > 0)

    def _builds(self) -> int:
        return self._count(SESSIONS.__contains__)

    def _count(self, is_wanted: Callable[[str], bool]) -> int:
        return sum(is_wanted(PurePath(found.arguments[0]).name) for found in self.world.darling.processes())

    def _earlier(self, deadline: float) -> float:
        """Give the deadline that counts: where the machine itself goes down, systemd's own may come first."""
        try:
            manager = self.world.systemd.manager()
        except SystemdError as error:
            log.debug("it is not known whether the machine goes down", why=error)
            return deadline
        if not manager.stopping or manager.stop_seconds is None:
            return deadline
        return min(deadline, time.monotonic() + max(0.0, manager.stop_seconds - _SECONDS_TO_SHUT_DOWN))


def _is_connection(name: str) -> bool:
    """Whether a process of that name is sshd's for one connection; the one that listens has ended by then."""
    return name.startswith("sshd")
