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
from darlingbuilder.core import config, managed, render
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import UNIT, UNIT_FILE
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import metricsunits, walls
from darlingbuilder.steps.metricsunits import MetricsUnits

_MASK = os.devnull
_STATE_FLAG = f"{config.table()['state'].flag}="
# What draining, shutting down and dying may take beyond the builds' own time.
_SECONDS_TO_STOP = 30


@dataclass(frozen=True, slots=True)
class Units:
    """darling-builder.service is installed, enabled, and the one that systemd has read."""

    config: Config
    world: World
    name: ClassVar[str] = "units"

    def check(self) -> list[Drift]:
        """See Step."""
        if self.world.host.link(UNIT_FILE) == _MASK:
            return [Drift(UNIT, "is masked")]
        if drift := managed.check([self._file]):
            return drift
        state = self.world.systemd.unit(UNIT)
        if state.load == "masked":
            return [Drift(UNIT, "is masked")]
        if state.needs_reload or state.load == "not-found":
            return [Drift(UNIT, "systemd has not read the unit file as it is now")]
        if state.file_state != "enabled":
            return [Drift(UNIT, f"is {state.file_state or 'not enabled'}")]
        return self._metrics.check()

    def apply(self) -> None:
        """See Step."""
        if self.world.host.link(UNIT_FILE) == _MASK:
            self.world.host.remove(UNIT_FILE)
        managed.converge([self._file])
        self.world.systemd.reload()
        self.world.systemd.enable(UNIT)
        self._metrics.apply()

    def revert(self) -> None:
        """See Step."""
        self._metrics.revert()
        self.world.systemd.disable(UNIT)
        managed.withdraw(self.world.host, [UNIT_FILE])
        self.world.systemd.reload()
        self.world.systemd.reset_failed(UNIT)

    @property
    def _metrics(self) -> MetricsUnits:
        textfile = self.config.settings.metrics_textfile
        command = _command(*program(), "metrics", f"{metricsunits.FLAG}{textfile}", *_state_flag(self.config))
        return MetricsUnits(self.world, Path(textfile) if textfile else None, command)

    @property
    def _file(self) -> ManagedFile:
        settings = self.config.settings
        body = render.unit(
            "darling-builder.service",
            init=_command(*program(), "init", *_flags(self.config)),
            serve=_command(*program(), "serve", *_state_flag(self.config)),
            nofile=settings.nofile,
            limits=settings.limits,
            **walls.openings(settings, program()[0]),
            # Two boots of two attempts, two trials of two Nixes; sshd's first greeting or session that takes longer
            # than it may ends the start; and filling the store before.
            start_seconds=10 * settings.boot_timeout + 600,
            stop_seconds=settings.grace + _SECONDS_TO_STOP,
            darling=settings.darling,
            compat=f"{settings.compat}{'' if settings.compat_builds else ', not in builds'}",
        )
        return ManagedFile(self.world.host, UNIT_FILE, body)


def program() -> list[str]:
    """Give the command that starts this darlingbuilder, by absolute paths."""
    script = Path(sysconfig.get_path("scripts")) / "darlingbuilder"
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "darlingbuilder"]


def installed_state(host: Tree) -> Path | None:
    """Give the state directory of the builder whose unit is installed; None if no unit of ours is."""
    content = host.read(UNIT_FILE) or b""
    if not managed.is_ours(content):
        return None
    found = re.search(r"^ExecStart=(.*)", content.decode(errors="replace"), re.MULTILINE)
    words = shlex.split(found[1]) if found else []
    named = [word.removeprefix(_STATE_FLAG) for word in words if word.startswith(_STATE_FLAG)]
    return Path(named[-1] if named else str(config.table()["state"].default)) if words else None


def _command(*words: str) -> str:
    """Quote a command for systemd, which expands «%» and «$» even between quotes."""
    return shlex.join(words).replace("%", "%%").replace("$", "$$")


def _flags(chosen: Config) -> list[str]:
    """Repeat what the file does not say, so that the hook converges to the same settings as this call."""
    words = ["--config", str(chosen.file)] if chosen.file != config.DEFAULT_FILE else []
    values = config.flatten(chosen.settings)
    for key, setting in config.table().items():
        if chosen.origins[key] in {"flag", "environment"}:
            words += [f"{setting.flag}={config.as_text(values[key])}"]
    return words


def _state_flag(chosen: Config) -> list[str]:
    return [f"{_STATE_FLAG}{chosen.settings.state}"] if chosen.origins["state"] != "default" else []
