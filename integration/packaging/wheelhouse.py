"""What pip fetches for darlingbuilder on an empty Debian, and that Debian: fetched and built once, then offline."""

import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Literal, get_args

from docs.examples import ROOT, blocks
from hatch_build import ZIGLANG
from integration.machine.cache import cached, digest
from integration.machine.commands import run
from integration.machine.machine import Machine
from integration.machine.mirror import source
from integration.machine.roots import JOURNALD_CONF, MASKED, bootstrap
from integration.machine.wheel import PROJECT

Release = Literal["bookworm", "trixie"]
RELEASES: tuple[Release, ...] = get_args(Release)
PYTHON: dict[Release, str] = {"bookworm": "3.11", "trixie": "3.13"}

# To be raised when anything below changes what is made.
RECIPE = "2"

# What makes a Debian a machine, and what its compiler recommends, which apt brings along elsewhere.
_MACHINE = ("dbus", "systemd", "systemd-sysv", "libc6-dev", "ca-certificates")

# There is no wheel of it, and it says itself what it is built with; of all others there is one.
FROM_SOURCE = "pystemd"
BUILT_WITH = ("setuptools", "wheel", "cython")
NEEDED_BY_IT = ("lxml", "psutil")
# With what our own sources are built, where they are installed without a wheel.
BUILDS_US = ("hatchling", ZIGLANG)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

DOWNLOADS, WHEELS = "/srv/downloads", "/srv/wheels"


def empty_debian(release: Release) -> Path:
    """Return a read-only Debian tree with Python and a compiler; the first call takes about a minute."""
    packages = (*_MACHINE, *packages_of_the_readme())
    key = f"python-{release}-{digest(RECIPE, release, *packages, *MASKED, JOURNALD_CONF)}"
    return cached("roots", key, lambda directory: bootstrap(directory, release, source(release), packages))


def install_script() -> str:
    """Give what the README has users of Debian type."""
    (script,) = (
        block.text for block in blocks("sh") if block.document == ROOT / "README.md" and "Debian" in block.below
    )
    return script


def packages_of_the_readme() -> list[str]:
    """Give the packages that it has apt install."""
    (line,) = (line for line in install_script().splitlines() if line.startswith("apt install"))
    return [word for word in line.split()[2:] if not word.startswith("-")]


def wheelhouse(release: Release) -> Path:
    """Return a directory with a wheel of all that darlingbuilder depends on; the first call takes about a minute."""
    key = digest(RECIPE, empty_debian(release).name, *dependencies(), *BUILT_WITH, *NEEDED_BY_IT, *BUILDS_US)
    return cached("wheelhouses", f"{release}-{key}", lambda directory: _fill(release, directory))


def dependencies() -> list[str]:
    """Give what the project says that it needs."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return sorted(project["dependencies"])


def _fill(release: Release, directory: Path) -> None:
    downloads = directory / "downloads"
    _download(release, downloads)
    with Machine.create(empty_debian(release), read_only_binds={DOWNLOADS: downloads}) as machine:
        machine.boot()
        machine.run("python3", "-m", "venv", "/opt/build")
        machine.run(
            "/opt/build/bin/pip", "wheel", "--quiet", "--no-index", "--no-deps", "--find-links", DOWNLOADS,
            "--wheel-dir", WHEELS, FROM_SOURCE,
            timeout=300,
        )  # fmt: skip
        for built in machine.path(WHEELS).glob("*.whl"):
            shutil.copy(built, directory)
    for fetched in downloads.glob("*.whl"):
        if not fetched.name.lower().startswith(BUILT_WITH):
            fetched.rename(directory / fetched.name)
    shutil.rmtree(downloads)


def _download(release: Release, into: Path) -> None:
    """Fetch with this machine's own pip: where packages come from is its configuration's affair."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", str(into))
    wheels = [name for name in dependencies() if not name.startswith(FROM_SOURCE)]
    of_source = [name for name in dependencies() if name.startswith(FROM_SOURCE)]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    run(
        (
            *pip,
            "--only-binary", ":all:", "--python-version", PYTHON[release], *platforms,
            *wheels, *BUILT_WITH, *NEEDED_BY_IT, *BUILDS_US,
        ),
        timeout=300, env=os.environ,
    )  # fmt: skip
    run((*pip, "--no-deps", "--no-binary", FROM_SOURCE, *of_source), timeout=300, env=os.environ)
