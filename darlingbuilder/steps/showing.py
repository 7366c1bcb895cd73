"""The host key that the running sshd shows, and how it comes to show another one without a session that ends."""

import signal
from dataclasses import dataclass
from typing import Protocol

from darlingbuilder.adapters import process, sshclient
from darlingbuilder.adapters.world import World
from darlingbuilder.core import wait
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.listening import Listening

_SECONDS_TO_SHOW = 5.0
_SECONDS_TO_RELOAD = 20.0


class Door(Protocol):
    """The running sshd, as those see it who come to it."""

    def show(self, key: str) -> None:
        """Have it show ``key``, «type base64», which its file holds already. Raises DarlingError if it does not."""


@dataclass(frozen=True, slots=True)
class Showing:
    """The guest's sshd.

    Up to 9.7, a stock Darling's 8.1 included, sshd starts itself anew for each connection and reads its key files
    then (sshd.c, rexec). From 9.8 on the listening process hands on what it read at its own start, and reads anew
    after a SIGHUP, on which it replaces itself: same process, same arguments and environment, and the sessions are
    other processes. Meanwhile, some 10 ms, nobody listens, so nobody should come: see BuildHooks.held.
    """

    settings: Settings
    world: World

    def show(self, key: str) -> None:
        """See Door."""
        if self._shown() == key:
            return
        listener = Listening(self.settings, self.world).process()
        if listener:
            process.kill(listener.pid, signal.SIGHUP)
        if not wait.until(lambda: self._shown() == key, seconds=_SECONDS_TO_RELOAD):
            raise DarlingError(
                f"sshd still shows the old host key, {_SECONDS_TO_RELOAD:g} s after it was told to read the new one",
                hint="both count, so builds go on; darlingbuilder restart, then: darlingbuilder keys rotate --host",
            )

    def _shown(self) -> str | None:
        return sshclient.host_key(self.settings.sshd_port, timeout=_SECONDS_TO_SHOW)
