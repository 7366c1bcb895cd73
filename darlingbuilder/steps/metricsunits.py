"""The timer that writes the metrics for node_exporter, where the setting ``metrics_textfile`` asks for it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed, render
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.tree import Tree

FLAG = "--textfile="
# What every file of metrics of ours begins with: the help of its first one.
OURS = b"# HELP darlingbuilder_"


@dataclass(frozen=True, slots=True)
class MetricsUnits:
    """Part of the step ``units``: installed, enabled and waiting for ``textfile``, or, if that is None, not there.

    ``command``: what writes it, as systemd reads it. ``why_not``: why they are not to be there, if they are not.
    """

    names: Instance
    world: World
    textfile: Path | None
    command: str
    why_not: str

    def check(self) -> list[Drift]:
        """See Step."""
        if self.textfile is None:
            return [Drift(str(path), f"is not wanted: {self.why_not}") for path in self._present()]
        if drift := managed.check(self._files):
            return drift
        timer = self.names.metrics_timer
        state = self.world.systemd.unit(timer)
        if state.needs_reload or state.load == "not-found":
            return [Drift(timer, "systemd has not read the unit file as it is now")]
        if state.file_state != "enabled":
            return [Drift(timer, f"is {state.file_state or 'not enabled'}")]
        return [] if state.activity is Activity.ACTIVE else [Drift(timer, f"is {state.activity.value}")]

    def apply(self) -> None:
        """See Step."""
        if self.textfile is None:
            self.revert()
        elif self.check():
            if self._written() != self.textfile:
                self._remove_written()
            managed.converge(self._files)
            self.world.systemd.reload()
            self.world.systemd.enable(self.names.metrics_timer)
            self.world.systemd.restart(self.names.metrics_timer)

    def revert(self) -> None:
        """See Step."""
        if not self._present():
            return
        for unit in (self.names.metrics_timer, self.names.metrics_service):
            self.world.systemd.stop(unit)
            self.world.systemd.reset_failed(unit)
        self.world.systemd.disable(self.names.metrics_timer)
        # node_exporter would go on telling what was true once.
        self._remove_written()
        managed.withdraw(self.world.host, self._paths)
        self.world.systemd.reload()

    @property
    def _paths(self) -> tuple[Path, Path]:
        return (self.names.metrics_timer_file, self.names.metrics_service_file)

    @property
    def _files(self) -> list[ManagedFile]:
        host, names, rendered = self.world.host, self.names, texts(self.names, self.command)
        return [
            ManagedFile(host, names.metrics_service_file, rendered[names.metrics_service]),
            ManagedFile(host, names.metrics_timer_file, rendered[names.metrics_timer]),
        ]

    def _present(self) -> list[Path]:
        return [path for path in self._paths if managed.is_ours(self.world.host.read(path))]

    def _remove_written(self) -> None:
        path = self._written()
        if path and not is_foreign(path, self.world.host):
            self.world.host.remove(path)

    def _written(self) -> Path | None:
        """Give the file that the installed unit writes; None if there is none of ours."""
        content = self.world.host.read(self.names.metrics_service_file) or b""
        found = re.search(r"^ExecStart=(.*)", content.decode(errors="replace"), re.MULTILINE)
        if not found or not managed.is_ours(content):
            return None
        words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(found[1])]
        return next((Path(word.removeprefix(FLAG)) for word in words if word.startswith(FLAG)), None)


def is_foreign(textfile: Path, host: Tree) -> bool:
    """Whether there is something in that file, and nothing of ours."""
    content = host.read(textfile)
    return content is not None and content != b"" and not content.startswith(OURS)


def refuse_foreign(textfile: Path, host: Tree) -> None:
    """Raise ForeignFileError where the metrics would be written over what another collector tells."""
    if is_foreign(textfile, host):
        raise ForeignFileError(
            f"{textfile} holds no metrics of darlingbuilder, and would be written over",
            hint="choose another file name in the same directory: node_exporter reads all of them",
        )


def texts(names: Instance, command: str) -> Mapping[str, str]:
    """Give the units by name; ``command`` writes the metrics, as systemd reads it."""
    return {
        names.metrics_service: render.unit("darling-builder-metrics.service", title=names.title, metrics=command),
        names.metrics_timer: render.unit("darling-builder-metrics.timer", title=names.title),
    }
