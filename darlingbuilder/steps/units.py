"""The systemd units: their files, read by systemd, and enabled."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import config, declaration, listen, managed, render
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.steps import commandlines, metricsunits, walls
from darlingbuilder.steps.metricsunits import MetricsUnits
from darlingbuilder.steps.socketunits import SocketUnits

_MASK = os.devnull
# What serve reads at its start and the rest of the unit does not say.
_SERVED = frozenset({"darling", "compat", "compat_builds", "store", "store_validity", "min_free", "max_free"})
# What draining, shutting down and dying may take beyond the builds' own time.
_SECONDS_TO_STOP = 30


@dataclass(frozen=True, slots=True)
class Units:
    """darling-builder.service is installed, enabled, and the one that systemd has read.

    With ``install_unit = false`` the system's own configuration brings it (NixOS, whose /etc/systemd is read-only),
    and it is only looked at.
    """

    config: Config
    world: World
    name: ClassVar[str] = "units"

    def check(self) -> list[Drift]:
        """See Step."""
        if self.world.host.link(self._names.unit_file) == _MASK:
            return [self._masked]
        if self._textfile and metricsunits.is_foreign(self._textfile, self.world.host):
            return [Drift(str(self._textfile), "holds no metrics of darlingbuilder, and would be written over")]
        if not self.config.settings.install_unit:
            return self._check_brought()
        return managed.check([self._file]) or self._check_read() or self._sockets.check() or self._metrics.check()

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError where somebody else is to bring the unit, and does not."""
        if self._textfile:
            metricsunits.refuse_foreign(self._textfile, self.world.host)
        if not self.config.settings.install_unit:
            self._rely_on_brought()
            return
        if self.world.host.link(self._names.unit_file) == _MASK:
            self.world.host.remove(self._names.unit_file)
        if self.config.settings.on_demand:
            # While its file still says where it was linked.
            self.world.systemd.disable(self._names.unit)
        managed.converge([self._file])
        self.world.systemd.reload()
        if not self.config.settings.on_demand:
            self.world.systemd.enable(self._names.unit)
        self._sockets.apply()
        self._metrics.apply()

    def revert(self) -> None:
        """See Step."""
        self._metrics.revert()
        self._sockets.revert()
        if self.config.settings.install_unit or self._is_left:
            self._withdraw()

    def _withdraw(self) -> None:
        self.world.systemd.disable(self._names.unit)
        managed.withdraw(self.world.host, [self._names.unit_file])
        self.world.systemd.reload()
        self.world.systemd.reset_failed(self._names.unit)

    @property
    def _names(self) -> Instance:
        return self.config.settings.names

    @property
    def _masked(self) -> Drift:
        return Drift(self._names.unit, "is masked")

    @property
    def _metrics(self) -> MetricsUnits:
        settings = self.config.settings
        textfile = self._textfile if settings.install_unit else None
        why_not = "install_unit is false" if settings.metrics_textfile else "metrics_textfile is unset"
        return MetricsUnits(self._names, self.world, textfile, commandlines.write_metrics(self.config), why_not)

    @property
    def _textfile(self) -> Path | None:
        written = self.config.settings.metrics_textfile
        return Path(written) if written else None

    @property
    def _sockets(self) -> SocketUnits:
        return SocketUnits(self.config.settings, self.world, commandlines.stop_if_idle(self.config))

    @property
    def _file(self) -> ManagedFile:
        return ManagedFile(self.world.host, self._names.unit_file, text(self.config))

    @property
    def _is_left(self) -> bool:
        """Whether a unit file of ours is there; the link of a mask is none."""
        file = self._names.unit_file
        return self.world.host.link(file) is None and managed.is_ours(self.world.host.read(file))

    def _check_read(self) -> list[Drift]:
        unit = self._names.unit
        state = self.world.systemd.unit(unit)
        if state.load == "masked":
            return [self._masked]
        if state.needs_reload or state.load == "not-found":
            return [_unread(unit)]
        if self.config.settings.on_demand:
            return [Drift(unit, "is enabled, and on_demand is true")] if state.file_state == "enabled" else []
        return [] if state.file_state == "enabled" else [Drift(unit, f"is {state.file_state or 'not enabled'}")]

    def _check_brought(self) -> list[Drift]:
        if self._is_left:
            return [Drift(str(self._names.unit_file), "is not wanted: install_unit is false")]
        if drift := self._sockets.check() or self._metrics.check():
            return drift
        for unit in brought(self.config):
            state = self.world.systemd.unit(unit)
            if state.load != "loaded":
                return [Drift(unit, f"is {state.load}, and install_unit is false")]
            if state.needs_reload:
                return [_unread(unit)]
        return []

    def _rely_on_brought(self) -> None:
        if self._is_left:
            self._withdraw()
        self._sockets.apply()
        self._metrics.apply()
        self.world.systemd.reload()
        if drift := self._check_brought():
            raise PrerequisiteError(
                f"{drift[0].what} {drift[0].detail}",
                hint="bring the unit that «darlingbuilder config unit» prints (with on_demand socket and proxy, too; "
                "with metrics_textfile metrics and timer) by the system's own configuration; or leave install_unit "
                "out",
            )


def text(chosen: Config) -> str:
    """Give the unit that runs a builder with the settings ``chosen``."""
    settings = chosen.settings
    return render.unit(
        "darling-builder.service",
        init=commandlines.init(chosen),
        serve=commandlines.serve(chosen),
        starts=commandlines.starts(chosen),
        serves=commandlines.serves(chosen),
        ended=commandlines.ended(chosen),
        title=settings.names.title,
        on_demand=settings.on_demand,
        exposed=bool(listen.beyond_loopback(settings)) and not settings.on_demand,
        hold=commandlines.hold(chosen),
        nofile=settings.nofile,
        limits=settings.limits,
        openings=walls.openings(settings, commandlines.program()[0]),
        lock=settings.names.lock,
        walled=settings.names.walled.name,
        walled_database=settings.names.walled_database,
        # Two boots of two attempts, two trials of two Nixes; sshd's first greeting or session that takes longer
        # than it may ends the start; and filling the store before.
        start_seconds=10 * settings.boot_timeout + 600,
        stop_seconds=settings.grace + _SECONDS_TO_STOP,
        read_at_start=[
            (key, declaration.as_text(value)) for key, value in config.flatten(settings).items() if key in _SERVED
        ],
    )


def brought(chosen: Config) -> tuple[str, ...]:
    """Name the units that a system brings which does so itself."""
    settings, names = chosen.settings, chosen.settings.names
    on_demand = (names.socket, names.proxy) if settings.on_demand else ()
    metrics = (names.metrics_service, names.metrics_timer) if settings.metrics_textfile else ()
    return (names.unit, *on_demand, *metrics)


def _unread(unit: str) -> Drift:
    return Drift(unit, "systemd has not read the unit file as it is now")
