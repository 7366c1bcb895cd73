"""The systemd units: their files, read by systemd, and enabled."""

import os
import re
import shlex
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import config, declaration, listen, managed, render
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.instance import DEFAULT, Instance
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import metricsunits, walls
from darlingbuilder.steps.metricsunits import MetricsUnits
from darlingbuilder.steps.socketunits import SocketUnits

# The verb that the units of a builder on demand call, and what it does for them.
ON_DEMAND, STOP_IF_IDLE, HOLD = "on-demand", "stop-if-idle", "hold"
_NAME = "darlingbuilder"
_MASK = os.devnull
_INSTANCE_FLAG, _STATE_FLAG = (f"{declaration.table()[key].flag}=" for key in ("instance", "state"))
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
        if not self.config.settings.install_unit:
            return self._check_brought()
        return managed.check([self._file]) or self._check_read() or self._sockets.check() or self._metrics.check()

    def apply(self) -> None:
        """See Step. Raises PrerequisiteError where somebody else is to bring the unit, and does not."""
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
        textfile = Path(settings.metrics_textfile) if settings.metrics_textfile and settings.install_unit else None
        why_not = "install_unit is false" if settings.metrics_textfile else "metrics_textfile is unset"
        return MetricsUnits(self._names, self.world, textfile, write_metrics(self.config), why_not)

    @property
    def _sockets(self) -> SocketUnits:
        return SocketUnits(self.config.settings, self.world, stop_if_idle(self.config))

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
        init=_command(*program(), "init", *_flags(chosen)),
        serve=_command(*program(), "serve", *_whose(chosen)),
        serves=_unless(f"! -e {shlex.quote(str(Paths(settings).failures))}", _breaker(chosen, "serves")),
        ended=_unless('"$SERVICE_RESULT" = success', _breaker(chosen, "ended")),
        title=settings.names.title,
        on_demand=settings.on_demand,
        exposed=bool(listen.beyond_loopback(settings)) and not settings.on_demand,
        hold=_command(*program(), ON_DEMAND, HOLD, *_whose(chosen)),
        nofile=settings.nofile,
        limits=settings.limits,
        openings=walls.openings(settings, program()[0]),
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


def write_metrics(chosen: Config) -> str:
    """Give the command that writes the metrics once, as systemd reads it."""
    textfile = f"{metricsunits.FLAG}{chosen.settings.metrics_textfile}"
    return _command(*program(), "metrics", textfile, *_whose(chosen))


def stop_if_idle(chosen: Config) -> str:
    """Give the command by which the proxy of a builder on demand has an idle one stopped, as systemd reads it."""
    return _command(*program(), ON_DEMAND, STOP_IF_IDLE, *_whose(chosen))


def program() -> list[str]:
    """Give the command that starts this darlingbuilder, by absolute paths."""
    return located(Path(sysconfig.get_path("scripts")) / _NAME, Path(sys.argv[0]))


def located(script: Path, called: Path) -> list[str]:
    """Give the command by what can be run of it: the ``script`` beside Python, or what was ``called``."""
    # nixpkgs puts the script, which alone knows where our libraries are, elsewhere than Python has its own.
    candidates = [script, called.resolve()] if called.is_absolute() and called.name == _NAME else [script]
    found = next((path for path in candidates if os.access(path, os.X_OK)), None)
    return [str(found)] if found else [sys.executable, "-m", _NAME]


def installed_state(names: Instance, host: Tree) -> Path | None:
    """Give the state directory of the builder that the installed unit runs, whoever installed it; None if none."""
    content = host.read(names.unit_file) or b""
    found = re.search(r"^ExecStart=(.*)", content.decode(errors="replace"), re.MULTILINE)
    words = shlex.split(found[1]) if found else []
    if "serve" not in words or not any(Path(word).name == _NAME for word in words):
        return None
    named = [word.removeprefix(_STATE_FLAG) for word in words if word.startswith(_STATE_FLAG)]
    return Path(named[-1] if named else str(config.defaults(names.name)["state"]))


def _unread(unit: str) -> Drift:
    return Drift(unit, "systemd has not read the unit file as it is now")


def _command(*words: str) -> str:
    """Quote a command for systemd, which expands «%» and «$» even between quotes."""
    return shlex.join(words).replace("%", "%%").replace("$", "$$")


def _breaker(chosen: Config, event: str) -> list[str]:
    return [*program(), "breaker", event, *_whose(chosen)]


def _unless(condition: str, words: list[str]) -> str:
    """Give a command that is not run where test(1) says so: our own takes a fifth of a second to begin."""
    return _command("/bin/sh", "-c", f'test {condition} || exec "$@"', _NAME, *words)


def _flags(chosen: Config) -> list[str]:
    """Repeat what the file does not say, so that the hook converges to the same settings as this call."""
    names = chosen.settings.names
    words = [f"{_INSTANCE_FLAG}{names.name}"] if names.name != DEFAULT else []
    words += ["--config", str(chosen.file)] if chosen.file != names.settings_file else []
    values = config.flatten(chosen.settings)
    for key, setting in declaration.table().items():
        if chosen.origins[key] in {"flag", "environment"} and key != "instance":
            words += [f"{setting.flag}={declaration.as_text(values[key])}"]
    return words


def _whose(chosen: Config) -> list[str]:
    """Say which builder is meant, in so far as it is not the one that is meant by default."""
    instance = chosen.settings.instance
    words = [f"{_INSTANCE_FLAG}{instance}"] if instance != DEFAULT else []
    return words + ([f"{_STATE_FLAG}{chosen.settings.state}"] if chosen.origins["state"] != "default" else [])
