"""Builds the C programs of which the stand-in consists."""

from pathlib import Path

from integration.machine.commands import run

SOURCES = Path(__file__).with_name("src")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra")


def compile_program(into: Path, *sources: str, flags: tuple[str, ...] = ()) -> Path:
    """Compile sources of ``src/`` into one program or library, and return it."""
    into.parent.mkdir(parents=True, exist_ok=True)
    run(("gcc", *FLAGS, *flags, "-o", str(into), *(str(SOURCES / name) for name in sources)))
    return into


def source_text() -> str:
    """Return all sources as one text: what is made from them is named by its hash."""
    return "".join(path.read_text() for path in sorted(SOURCES.iterdir()))
