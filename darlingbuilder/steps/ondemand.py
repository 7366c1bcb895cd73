"""A builder that starts with the first connection: its door opened and closed, itself woken and sent to rest."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import tcp
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, wait
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import CanceledJobError, SystemdError
from darlingbuilder.core.settings import Settings

_NANOSECONDS = 1e9
# What shutting down takes beyond the builds' own time.
_SECONDS_TO_STOP = 60
_SECONDS_TO_KNOCK = 5


@dataclass(frozen=True, slots=True)
class OnDemand:
    """The units in front of the builder, in the terms of who wants something of it."""

    settings: Settings
    world: World

    def check(self) -> list[Drift]:
        """List what keeps a connection from starting the builder. That it is down is no difference."""
        names = self.settings.names
        socket = self.world.systemd.unit(names.socket)
        if socket.activity is not Activity.ACTIVE:
            return [Drift(names.socket, f"is {socket.activity.value} ({socket.sub})")]
        read = {names.socket: names.socket_file, names.proxy: names.proxy_file}
        return [
            Drift(unit, f"runs with an older {path}") for unit, path in read.items() if self._is_older(unit, path)
        ]

    def reopen(self) -> None:
        """Open the door with the units as they are now, whatever became of it; the builder must be down."""
        # systemd refuses a socket whose service runs.
        for unit in (self.settings.names.socket, self.settings.names.proxy):
            self.world.systemd.stop(unit)
            self.world.systemd.reset_failed(unit)
        self.world.systemd.start(self.settings.names.socket)

    def close(self) -> None:
        """Stop the builder and let nobody start it again. Builds that run come through the proxy: it goes last."""
        self.world.systemd.stop(self.settings.names.socket)
        try:
            self.world.systemd.stop(self.settings.names.unit)
        except CanceledJobError:
            # A proxy that came back at that moment has had the builder started in place of that job. It stays now.
            self.world.systemd.stop(self.settings.names.unit)
        self.world.systemd.stop(self.settings.names.proxy)

    def wake(self) -> None:
        """Start the builder as a connection does, so that it rests again when it is idle. Raises SystemdError."""
        self.world.systemd.start(self.settings.names.unit)
        self.world.systemd.start(self.settings.names.proxy)
        self.knock()

    def hold(self) -> None:
        """Have connections wait at the socket while the builder is not there, or not yet as it should be."""
        # One that is only about to start waits for the builder already. It is not to be kept from that: where the
        # builder does not start, it turns the connections away.
        if self.world.systemd.unit(self.settings.names.proxy).activity is Activity.ACTIVE:
            self.world.systemd.begin_stop(self.settings.names.proxy)
            log.info("connections wait until the builder is back", unit=self.settings.names.unit)

    def knock(self) -> None:
        """Come and go as a connection: only from the end of one does the proxy count the time without any."""
        tcp.refusal(self.settings.port, timeout=_SECONDS_TO_KNOCK)

    def rest(self) -> None:
        """Have the builder stop when its builds have ended, and wait for that; the next connection starts it again.

        Raises SystemdError if it does not stop.
        """
        systemd, unit = self.world.systemd, self.settings.names.unit
        before = systemd.unit(unit).main_pid
        # Not «stop»: a connection may come before that is over, and its start would take the place of the job.
        systemd.begin_stop(unit)
        seconds = self.settings.grace + _SECONDS_TO_STOP
        if before and not wait.until(lambda: systemd.unit(unit).main_pid != before, seconds=seconds):
            raise SystemdError(f"{unit} has not stopped within {seconds} s", hint="see: darlingbuilder logs")

    def _is_older(self, unit: str, path: Path) -> bool:
        found, state = self.world.host.attributes(path), self.world.systemd.unit(unit)
        return state.activity is Activity.ACTIVE and bool(found and found.mtime_ns / _NANOSECONDS > state.since)
