"""The end of what a key that lets in nobody any longer has let in before: its connections, with all that they run."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.journal import Admission
from darlingbuilder.adapters.procfs import Connection, Process
from darlingbuilder.adapters.world import World
from darlingbuilder.core import wait
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.listening import Listening

_SECONDS_TO_LOG_IN = 3.0
# The clock of a process's start ticks in hundredths.
_TICK = 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """``ended``: connections that were ended; ``unknown``: such as nobody can say whose they are, and were not."""

    ended: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """The connections to the guest's sshd, each known by the login that sshd has logged from its address and port.

    ``admissions`` gives these logins since a moment (epoch seconds). They are the guest's own word, which cannot
    mislead us further than to end what runs in the guest.
    """

    settings: Settings
    world: World
    admissions: Callable[[float], Sequence[Admission]]

    def end(self, fingerprint: str) -> Ended:
        """End the connections that logged in by the key with ``fingerprint``, and what these have started."""
        ended: set[Connection] = set()
        unknown: list[Connection] = []

        def is_over() -> bool:
            theirs, unknown[:] = self._told_apart(fingerprint)
            for connection in theirs:
                self._cut(connection)
            ended.update(theirs)
            return not theirs and not unknown

        # One that was let in at the last moment is yet to be logged.
        wait.until(is_over, seconds=_SECONDS_TO_LOG_IN)
        return Ended(len(ended), len(unknown))

    def _told_apart(self, fingerprint: str) -> tuple[list[Connection], list[Connection]]:
        theirs: list[Connection] = []
        unknown: list[Connection] = []
        begun = {one: began for one in self._connections() if (began := self._began(one)) is not None}
        admissions = self.admissions(min(begun.values())) if begun else []
        for connection, began in begun.items():
            said = [one for one in admissions if one.peer == connection.peer and one.at >= began]
            if not said:
                unknown.append(connection)
            elif said[-1].fingerprint == fingerprint:
                theirs.append(connection)
        return theirs, unknown

    def _began(self, connection: Connection) -> float | None:
        """Give when somebody came by ``connection``; None if it ends at this moment."""
        moments = [procfs.started(one.pid) for one in self._holders(connection)]
        return min((moment - _TICK for moment in moments if moment is not None), default=None)

    def _connections(self) -> list[Connection]:
        return procfs.connections(self.settings.sshd_port)

    def _holders(self, connection: Connection) -> list[Process]:
        """List the guest's processes that have ``connection``; the one that listens has it for a moment, too."""
        listener = Listening(self.settings, self.world).process()
        return [
            one
            for one in self.world.darling.processes()
            if connection.name in procfs.open_files(one.pid) and (listener is None or one.pid != listener.pid)
        ]

    def _cut(self, connection: Connection) -> None:
        pids = {one.pid for one in self._holders(connection)}
        everyone = self.world.darling.processes()
        # As often as somebody's child is found: a list has them in no order.
        while more := {one.pid for one in everyone if one.parent in pids} - pids:
            pids |= more
        for pid in sorted(pids):
            # Any other fatal signal takes the whole process group along in a Darling guest.
            process.kill(pid, signal.SIGKILL)
