"""Builds dylibs for macOS that interpose chosen symbols: all of the compat shim but its code."""

import sys
from collections.abc import Collection
from pathlib import Path

from integration.machine.cache import cached, digest, home
from integration.machine.commands import CLEAN_ENVIRONMENT, run

TARGET = "x86_64-macos.11.0"
FLAGS = ("-shared", "-O2", "-Wl,-install_name,shim.dylib")

# Without arguments: a declaration is all that a symbol needs to be bound, and nobody runs this code.
SOURCE = """\
#define INTERPOSE(name) \\
	extern void name(void); \\
	static void my_##name(void) { name(); } \\
	__attribute__((used, section("__DATA,__interpose"))) \\
	static void (*const tuple_##name[])(void) = {my_##name, name};

"""
NOTHING = "int nothing;\n"


def dylib(symbols: Collection[str], *, target: str = TARGET) -> Path:
    """Return a dylib that interposes the functions of these names; the first call takes some seconds."""
    source = SOURCE + ("".join(f"INTERPOSE({symbol})\n" for symbol in sorted(symbols)) or NOTHING)
    return (
        cached("dylibs", digest(source, target, *FLAGS), lambda place: _build(source, target, place)) / "shim.dylib"
    )


def _build(source: str, target: str, place: Path) -> None:
    (place / "shim.c").write_text(source)
    run(
        (
            sys.executable, "-m", "ziglang",
            "cc", "-fno-builtin", "-target", target, *FLAGS, "-o", str(place / "shim.dylib"), str(place / "shim.c"),
        ),
        timeout=300,
        env={**CLEAN_ENVIRONMENT, "ZIG_GLOBAL_CACHE_DIR": str(home() / "zig")},
    )  # fmt: skip
