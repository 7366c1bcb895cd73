"""Builds the suite's C programs: for the guest with zig's C compiler, for this machine with gcc."""

import sys
from importlib.metadata import version
from pathlib import Path

from integration.machine.cache import cached, digest, home
from integration.machine.commands import CLEAN_ENVIRONMENT, run

SOURCES = Path(__file__).with_name("programs")
PROGRAMS = tuple(sorted(source.stem for source in SOURCES.glob("*.c")))
WARNINGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror")

# The oldest macOS that a Darling passes for (its sw_vers says 11). zig's cc would have undefined behaviour trapped,
# and a signal of a trap is not that of a fault.
DARWIN = ("-target", "x86_64-macos.11.0", "-fno-sanitize=undefined")
LINUX = ("-D_GNU_SOURCE", "-pthread")

READABLE = 0o755


def darwin_programs() -> Path:
    """Return a directory with all programs as Mach-O executables; made once for each state of the sources."""
    sources = (path.read_text() for path in sorted(SOURCES.iterdir()))
    key = digest(version("ziglang"), *DARWIN, *WARNINGS, *sources)
    return cached("stock", key, _build_all)


def native_program(name: str, into: Path) -> Path:
    """Compile one of the portable programs for this machine."""
    _compile(("gcc", *LINUX), name, into / name)
    return into / name


def _build_all(directory: Path) -> None:
    for name in PROGRAMS:
        _compile((sys.executable, "-m", "ziglang", "cc", *DARWIN), name, directory / name)


def _compile(compiler: tuple[str, ...], name: str, into: Path) -> None:
    zig = str(home() / "zig")
    env = {**CLEAN_ENVIRONMENT, "ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}
    # Five seconds the first time, when zig builds what all programs share; a tenth of one afterwards.
    run((*compiler, *WARNINGS, "-o", str(into), str(SOURCES / f"{name}.c")), timeout=300, env=env)
    into.chmod(READABLE)
