"""The guest's files as the build hook makes them, and C that is tried on this machine."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import hatch_build

PROJECT = Path(__file__).parents[2]
SOURCES = PROJECT / hatch_build.GUEST


@pytest.fixture(scope="session")
def build_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build in a directory of this name, from a copy of the sources, with nothing that zig kept; gives the shim."""

    def built(name: str) -> Path:
        sources = tmp_path_factory.mktemp(name) / "guest"
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.dylib"))
        return next(file for file in hatch_build.build(sources, sources) if file.name == "compat.dylib")

    return built


@pytest.fixture(scope="session")
def shim(build_in: Callable[[str], Path]) -> Path:
    """A shim built from these sources."""
    return build_in("one")


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim's logic that is free of Darwin, as a program of this machine."""
    program = tmp_path_factory.mktemp("harness") / "harness"
    source = Path(__file__).with_name("harness.c")
    flags = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fsanitize=address,undefined")
    subprocess.run(  # noqa: TID251 (a compiler is no part of the tool)
        ("cc", *flags, "-pthread", "-I", str(SOURCES), "-o", str(program), str(source)), check=True
    )
    return program
