"""The files of the socket in front of a builder on demand, and of the proxy behind it: read by systemd, or gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core import listen, managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.ondemand import OnDemand

_LISTEN = "ListenStream="
_PROXYD = "systemd-socket-proxyd"
# A library's program, on nobody's PATH; the last one is NixOS's.
_PLACES = tuple(map(Path, ("/usr/lib/systemd", "/lib/systemd", "/run/current-system/systemd/lib/systemd")))


@dataclass(frozen=True, slots=True)
class SocketUnits:
    """Part of the step ``units``: with ``on_demand`` installed, the socket enabled; without it not there.

    ``stop_if_idle``: what the proxy calls when it has ended, as systemd reads it. Whether the socket is active, and
    what becomes of a proxy in use, is the step ``service``'s affair.
    """

    settings: Settings
    world: World
    stop_if_idle: str

    def check(self) -> list[Drift]:
        """See Step."""
        if not self._wanted:
            return [Drift(str(path), f"is not wanted: {self._why_not}") for path in self._present()]
        return managed.check(self._files) or self._check_read()

    def apply(self) -> None:
        """See Step."""
        if not self._wanted:
            self._withdraw(spare_connections=True)
            return
        if not self.check():
            return
        managed.converge(self._files)
        self.world.systemd.reload()
        self.world.systemd.enable(self.settings.names.socket)
        door = OnDemand(self.settings, self.world)
        # A builder that runs has the port still, or connections that it must not lose; one that starts has a caller.
        if self.world.systemd.unit(self.settings.names.unit).activity is not Activity.ACTIVE and door.check():
            door.reopen()

    def revert(self) -> None:
        """See Step."""
        self._withdraw(spare_connections=False)

    def _withdraw(self, *, spare_connections: bool) -> None:
        if not self._present():
            return
        self.world.systemd.stop(self.settings.names.socket)
        # Builds may go through it, where the builder runs.
        if not spare_connections or self.world.systemd.unit(self.settings.names.unit).activity is not Activity.ACTIVE:
            self.world.systemd.stop(self.settings.names.proxy)
        for unit in self._paths:
            self.world.systemd.reset_failed(unit)
        self.world.systemd.disable(self.settings.names.socket)
        managed.withdraw(self.world.host, list(self._paths.values()))
        self.world.systemd.reload()

    @property
    def _wanted(self) -> bool:
        return self.settings.on_demand and self.settings.install_unit

    @property
    def _why_not(self) -> str:
        return "install_unit is false" if self.settings.on_demand else "on_demand is false"

    @property
    def _paths(self) -> Mapping[str, Path]:
        names = self.settings.names
        return {names.socket: names.socket_file, names.proxy: names.proxy_file}

    @property
    def _files(self) -> list[ManagedFile]:
        rendered = texts(self.settings, self.world.host, self.stop_if_idle)
        return [ManagedFile(self.world.host, self._paths[unit], text) for unit, text in rendered.items()]

    def _present(self) -> list[Path]:
        return [path for path in self._paths.values() if managed.is_ours(self.world.host.read(path))]

    def _check_read(self) -> list[Drift]:
        for unit in self._paths:
            state = self.world.systemd.unit(unit)
            if state.needs_reload or state.load == "not-found":
                return [Drift(unit, "systemd has not read the unit file as it is now")]
        socket = self.settings.names.socket
        state = self.world.systemd.unit(socket)
        return [] if state.file_state == "enabled" else [Drift(socket, f"is {state.file_state or 'not enabled'}")]


def texts(settings: Settings, host: Tree, stop_if_idle: str) -> Mapping[str, str]:
    """Give the units by name."""
    names = settings.names
    named = {"unit": names.unit, "proxy": names.proxy, "title": names.title}
    return {
        names.socket: render.unit(
            "darling-builder.socket",
            listens=[f"{_LISTEN}{listen.socket_address(one, settings.port)}" for one in listen.addresses(settings)],
            exposed=bool(listen.beyond_loopback(settings)),
            **named,
        ),
        names.proxy: render.unit(
            "darling-builder-proxy.service",
            **named,
            proxyd=proxyd(host) or _PLACES[0] / _PROXYD,
            idle_timeout=settings.idle_timeout,
            private_port=settings.private_port,
            stop_if_idle=stop_if_idle,
        ),
    }


def has_port(unit: str, port: int) -> bool:
    """Whether the socket unit with the text ``unit`` has ``port``, on whatever address."""
    return any(line.startswith(_LISTEN) and line.endswith(f":{port}") for line in unit.splitlines())


def proxyd(host: Tree) -> Path | None:
    """Find systemd's own proxy; None if this machine has none."""
    candidates = [place / _PROXYD for place in _PLACES]
    return next((path for path in candidates if host.attributes(path)), None)
