"""Builds wheel, sdist and editable install, each from a copy of the sources, and never in the clone itself."""

import os
import shutil
import sys
import tarfile
from pathlib import Path

from darlingbuilder.core import variables
from integration.machine.cache import home
from integration.machine.commands import CLEAN_ENVIRONMENT, run
from integration.machine.wheel import PROJECT, SOURCES

# What a checkout has beyond the wheel's sources and the sdist is made from. The list of what is ignored keeps the
# guest's built files out of it.
REST = (".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "SECURITY.md", "docs", "nix", "tests")
BUILT = ("compat.dylib", "probe")
_BUILD_SECONDS = 300
_ENDINGS = {"wheel": ".whl", "sdist": ".tar.gz"}


def checkout(place: Path) -> Path:
    """Copy the sources to ``place``, as a fresh clone has them: without anything that was built from them."""
    guest = PROJECT / "darlingbuilder" / "guest"

    def left_out(directory: str, names: list[str]) -> set[str]:
        built = {name for name in names if Path(directory) == guest and name in BUILT}
        return built | {"__pycache__"} & set(names)

    place.mkdir(parents=True)
    for name in (*SOURCES, *REST):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=left_out)
        else:
            shutil.copy2(source, place)
    return place


def wheel(sources: Path, into: Path, *, zig_cache: Path | None = None, epoch: int | None = None) -> Path:
    """Build the wheel of a checkout, or of an sdist that was unpacked; ``epoch``: the time of all that is in it."""
    return _build("wheel", sources, into, zig_cache, epoch)


def sdist(sources: Path, into: Path, *, epoch: int | None = None) -> Path:
    """Build the sdist of a checkout."""
    return _build("sdist", sources, into, None, epoch)


def install_editable(sources: Path, venv: Path) -> Path:
    """Make a virtual environment with the machine's own Python, let pip install a checkout in it, give its Python.

    The compiler is the environment's: another would be fetched each time, and is large. All else pip fetches.
    """
    run(("/usr/bin/python3", "-m", "venv", str(venv)), timeout=_BUILD_SECONDS)
    python = venv / "bin/python"
    zig = {variables.ZIG: f"{sys.executable} -m ziglang", "ZIG_GLOBAL_CACHE_DIR": str(home() / "zig")}
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    run((*pip, "--editable", str(sources)), timeout=_BUILD_SECONDS, env={**zig, **os.environ})
    return python


def unpacked(archive: Path, into: Path) -> Path:
    """Unpack an sdist, and give its one directory."""
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
    (directory,) = into.iterdir()
    return directory


def _build(target: str, sources: Path, into: Path, zig_cache: Path | None, epoch: int | None) -> Path:
    # With the environment's own hatchling: an isolated build would fetch one each time.
    command = (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into))
    run(command, cwd=sources, timeout=_BUILD_SECONDS, env=_environment(zig_cache, epoch))
    (made,) = (file for file in into.iterdir() if file.name.endswith(_ENDINGS[target]))
    return made


def _environment(zig_cache: Path | None, epoch: int | None) -> dict[str, str]:
    given = {name: os.environ[name] for name in (variables.ZIG,) if name in os.environ}
    given |= {} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)}
    return {**CLEAN_ENVIRONMENT, **given, "ZIG_GLOBAL_CACHE_DIR": str(zig_cache or home() / "zig")}
