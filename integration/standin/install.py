"""Lays the stand-in out as a Darling installation of its own."""

from pathlib import Path

from integration.machine.commands import run

from .compiler import compile_program
from .guestroot import DEFECTS, LIBRARIES, PRELOAD, preload

SETUID_ROOT = 0o4755


def install(into: Path, guest_root: Path, *, mended: bool = False) -> Path:
    """Install below ``into`` as below ``/``, the guest root included, and return the launcher.

    The programs find each other by their own place, so the tree works where it is laid out as well as in a
    layer of an overlay. The guest root is hard-linked where that can be: it costs no space, and nobody
    writes to it, since it is a lower layer for everyone.

    ``mended``: without the defects of a stock Darling that the compat shim corrects (defects.c, signals.c).
    """
    local = into / "usr/local"
    compile_program(local / "bin/darlingserver", "darlingserver.c")
    launcher = compile_program(local / "bin/darling", "darling.c", "prefix.c", "terminal.c", flags=("-lutil",))
    _lay_tree(guest_root, local / "libexec/darling")
    if mended:
        _mend(local / "libexec/darling")
    launcher.chmod(SETUID_ROOT)
    return launcher


def _lay_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    same_filesystem = source.stat().st_dev == target.parent.stat().st_dev
    how = "--link" if same_filesystem else "--reflink=auto"
    run(("cp", "--archive", how, str(source), str(target)), timeout=300)


def _mend(guest: Path) -> None:
    """Give a guest root the defects no longer, and let go of the file that it may share with others."""
    (guest / PRELOAD).unlink()
    (guest / PRELOAD).write_text(preload(*(library for library in LIBRARIES if library not in DEFECTS)))
