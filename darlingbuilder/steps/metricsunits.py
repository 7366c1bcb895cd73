"""The timer that writes the metrics for node_exporter, where the setting ``metrics_textfile`` asks for it."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import METRICS_SERVICE, METRICS_SERVICE_FILE, METRICS_TIMER, METRICS_TIMER_FILE

FLAG = "--textfile="
# What every file of metrics of ours begins with: the help of its first one.
OURS = b"# HELP darlingbuilder_"
_FILES = (METRICS_TIMER_FILE, METRICS_SERVICE_FILE)


@dataclass(frozen=True, slots=True)
class MetricsUnits:
    """Part of the step ``units``: installed, enabled and waiting for ``textfile``, or, if that is None, not there.

    ``command``: what writes it, as systemd reads it.
    """

    world: World
    textfile: Path | None
    command: str

    def check(self) -> list[Drift]:
        """See Step."""
        if self.textfile is None:
            return [Drift(str(path), "is not wanted: metrics_textfile is unset") for path in self._present()]
        if drift := managed.check(self._files):
            return drift
        state = self.world.systemd.unit(METRICS_TIMER)
        if state.needs_reload or state.load == "not-found":
            return [Drift(METRICS_TIMER, "systemd has not read the unit file as it is now")]
        if state.file_state != "enabled":
            return [Drift(METRICS_TIMER, f"is {state.file_state or 'not enabled'}")]
        return [] if state.activity is Activity.ACTIVE else [Drift(METRICS_TIMER, f"is {state.activity.value}")]

    def apply(self) -> None:
        """See Step."""
        if self.textfile is None:
            self.revert()
        elif self.check():
            if self._written() != self.textfile:
                self._remove_written()
            managed.converge(self._files)
            self.world.systemd.reload()
            self.world.systemd.enable(METRICS_TIMER)
            self.world.systemd.restart(METRICS_TIMER)

    def revert(self) -> None:
        """See Step."""
        if not self._present():
            return
        for unit in (METRICS_TIMER, METRICS_SERVICE):
            self.world.systemd.stop(unit)
            self.world.systemd.reset_failed(unit)
        self.world.systemd.disable(METRICS_TIMER)
        # node_exporter would go on telling what was true once.
        self._remove_written()
        managed.withdraw(self.world.host, _FILES)
        self.world.systemd.reload()

    @property
    def _files(self) -> list[ManagedFile]:
        host = self.world.host
        service = render.unit(METRICS_SERVICE, metrics=self.command)
        return [
            ManagedFile(host, METRICS_SERVICE_FILE, service),
            ManagedFile(host, METRICS_TIMER_FILE, render.unit(METRICS_TIMER)),
        ]

    def _present(self) -> list[Path]:
        return [path for path in _FILES if managed.is_ours(self.world.host.read(path))]

    def _remove_written(self) -> None:
        path = self._written()
        if path and (self.world.host.read(path) or b"").startswith(OURS):
            self.world.host.remove(path)

    def _written(self) -> Path | None:
        """Give the file that the installed unit writes; None if there is none of ours."""
        content = self.world.host.read(METRICS_SERVICE_FILE) or b""
        found = re.search(r"^ExecStart=(.*)", content.decode(errors="replace"), re.MULTILINE)
        if not found or not managed.is_ours(content):
            return None
        words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(found[1])]
        return next((Path(word.removeprefix(FLAG)) for word in words if word.startswith(FLAG)), None)
