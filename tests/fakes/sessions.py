"""Sessions of Nix in a guest, as real processes that hold real files open."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import Start
from darlingbuilder.adapters.procfs import Process
from tests.fakes.darling import FakeDarling

# Under another name: like the real one, a session is known by its first argument.
_HOLD = """
import subprocess, sys, time
held = [open(path, "w") for path in sys.argv[2:]]
children = [subprocess.Popen(["sleep", "60"])] if sys.argv[1] == "building" else []
open(f"{sys.argv[2]}.ready", "w").close() if held else None
time.sleep(60)
"""


class BusyDarling(FakeDarling):
    """A container in which, beside the fake's own, the processes of ``pids`` run."""

    pids: Sequence[int] = ()

    def processes(self) -> list[Process]:
        """See Darling: those, under the name that they would have in the guest."""
        found = [one for pid in self.pids for one in _family(pid)]
        return [*super().processes(), *found]


def _family(pid: int) -> list[Process]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for each in (pid, *map(int, children)) if (one := procfs.process(each))]


@contextmanager
def session(name: str, files: Sequence[Path], *, building: bool = True) -> Iterator[int]:
    """Run a session called ``name`` that holds ``files`` open; gives its pid."""
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
    link = files[0].parent / name
    link.symlink_to(sys.executable)
    with Path("/dev/null").open("ab") as log:
        state = "building" if building else "idle"
        running = process.spawn(link, "-c", _HOLD, state, *files, start=Start(), log=log)
    try:
        deadline = time.monotonic() + 20
        while not Path(f"{files[0]}.ready").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        yield running.pid
    finally:
        process.end(running)
