"""The tool under test, installed as a user would: its wheel in a virtual environment of the machine's Python."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from .cache import cached, digest
from .commands import run
from .machine import Machine

PROJECT = Path(__file__).parents[2]

# What the wheel is made from.
SOURCES = ("darlingbuilder", "units", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE")
# Beside its sources lies what was built from them.
GUEST = PROJECT / "darlingbuilder" / "guest"
GUEST_SOURCES = (".c", ".h")

HOME = "/opt/darlingbuilder"
COMMAND = "/usr/local/bin/darlingbuilder"
RECIPE = "1"


def wheel_layer(root: Path) -> Path:
    """Return a layer for machines with this root, made anew only if the sources have changed."""
    key = digest(RECIPE, root.name, _sources())
    return cached("wheels", key, lambda layer: _install(root, layer))


def _sources() -> str:
    seen = hashlib.sha256()
    for file in sorted(_files()):
        seen.update(f"{file.relative_to(PROJECT)}\0{file.stat().st_size}\0".encode())
        seen.update(file.read_bytes())
    return seen.hexdigest()


def _files() -> Iterator[Path]:
    for name in SOURCES:
        source = PROJECT / name
        if source.is_file():
            yield source
        for directory, names, files in os.walk(source):
            names[:] = [name for name in names if name != "__pycache__"]
            yield from (Path(directory, file) for file in files if _is_source(Path(directory, file)))


def _is_source(file: Path) -> bool:
    return file.parent != GUEST or file.suffix in GUEST_SOURCES


def _install(root: Path, layer: Path) -> None:
    with Machine.create(root) as machine:
        wheel = _build(machine.path("/opt"))
        machine.boot()
        machine.run("python3", "-m", "venv", "--system-site-packages", "--without-pip", HOME)
        machine.run(
            "pip", "--python", f"{HOME}/bin/python", "--disable-pip-version-check",
            "install", "--quiet", "--no-index", "--no-deps", "--no-cache-dir", f"/opt/{wheel.name}",
        )  # fmt: skip
        wheel.unlink()
        machine.run("ln", "--symbolic", f"{HOME}/bin/darlingbuilder", COMMAND)
        for path in ("/opt", "/usr/local/bin"):
            _copy(machine.path(path), layer / path[1:])


def _build(directory: Path) -> Path:
    """Build the wheel with the environment's own hatchling: an isolated build would fetch one each time."""
    run(
        (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)),
        cwd=PROJECT,
    )
    (wheel,) = directory.glob("*.whl")
    return wheel


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    run(("cp", "--archive", f"{source}/.", str(target)))
