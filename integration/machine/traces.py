"""What a machine can leave on the host, found by its name."""

import contextlib
import os
from pathlib import Path

from .cgroup import Cgroup


def traces(directory: Path, cgroup: Cgroup) -> list[str]:
    """Name everything of the machine in ``directory`` that is still there, one a line."""
    found = [f"directory {directory}"] if directory.exists() else []
    found += [f"cgroup {cgroup.path}"] if cgroup.exists() else []
    return found + _witnesses(directory.name)


def _witnesses(name: str) -> list[str]:
    """Name the processes that see a mount or are in a cgroup with this name, our own included.

    Not by their namespaces: the kernel gives a dead namespace's number to the next one at once.
    """
    return [
        f"process {pid}: {line}"
        for pid in os.listdir("/proc")  # noqa: PTH208 - names are wanted, not paths
        if pid.isdigit()
        for line in _lines_of(int(pid))
        if name in line
    ]


def _lines_of(pid: int) -> list[str]:
    # A process that has just gone, and a zombie, have no such files.
    with contextlib.suppress(OSError):
        texts = [Path(f"/proc/{pid}/{file}").read_text() for file in ("cgroup", "mountinfo")]
        return [line for text in texts for line in text.splitlines()]
    return []
