"""Builds what runs inside Darling: each C file of ``darlingbuilder/guest`` becomes one Mach-O file beside it.

The compiler is PyPI's ``ziglang``, which brings macOS's headers and the list of what its libSystem exports. Where it
cannot be had, ``DARLINGBUILDER_ZIG`` gives the command of another zig, and no ``ziglang`` is asked for.
"""

import importlib.util
import os
import runpy
import shlex
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ZIGLANG = "ziglang==0.14.1"
GUEST = Path("darlingbuilder/guest")
# Not imported: a build knows nothing of the package.
ZIG = runpy.run_path(str(Path(__file__).with_name("darlingbuilder") / "core/variables.py"))["ZIG"]

# The macOS that a Darling passes for is 11. Optimised: zig's cc would trap undefined behaviour otherwise.
FLAGS = (
    "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
    "-target", "x86_64-macos.11.0",
    "-g0", "-s",
)  # fmt: skip
# By the name of the C file; without an entry, it becomes a program. The install name is where the guest has it.
LIBRARIES = {
    "compat.c": ("compat.dylib", ("-shared", "-Wl,-install_name,/private/etc/darlingbuilder/compat.dylib")),
}

_PAGE = 0x1000
_LC_SEGMENT_64 = 0x19
_MAGIC_64 = 0xFEEDFACF
_HEADER = struct.Struct("<8I")
_COMMAND = struct.Struct("<2I")
# Within a segment's command: behind the command, its size, and the name of 16 bytes comes vmaddr.
_VMSIZE_AT = 8 + 16 + 8
_VMSIZE = struct.Struct("<Q")


class NoZigError(Exception):
    """There is no compiler for the guest."""


class GuestHook(BuildHookInterface[Any]):
    """Builds in place: the wheel takes the files along, and an editable install finds them."""

    def dependencies(self) -> list[str]:
        """Ask for zig unless one is given."""
        return [] if os.environ.get(ZIG) else [ZIGLANG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        """Build before the wheel is packed."""
        guest = Path(self.root, GUEST)
        try:
            for file in build(guest, guest):
                build_data["artifacts"].append(f"/{GUEST}/{file.name}")
        except NoZigError as error:
            self.app.abort(str(error))
        except subprocess.CalledProcessError as error:
            self.app.abort(f"zig could not build the guest's files:\n{error.stderr}")


def build(sources: Path, into: Path) -> list[Path]:
    """Build all of the guest's files, and give them. The same sources and compiler give the same bytes, anywhere."""
    compiler = zig()
    with tempfile.TemporaryDirectory() as scratch:
        return [_build_one(compiler, source, into, Path(scratch)) for source in sorted(sources.glob("*.c"))]


def zig() -> tuple[str, ...]:
    """Give the command of zig. Raises NoZigError."""
    given = os.environ.get(ZIG)
    if given:
        return tuple(shlex.split(given))
    if importlib.util.find_spec("ziglang") is None:
        raise NoZigError(
            "the guest's files are built with zig, and there is none: "
            f"pip install {ZIGLANG}, or name another in {ZIG}"
        )
    return (sys.executable, "-m", "ziglang")


def whole_pages(macho: bytes) -> bytes:
    """Round the size of each segment in memory up to pages, as Apple's linker does and zig's does not.

    Where the last page of __DATA is cut short, large programs were seen to crash under Darling.
    """
    rounded = bytearray(macho)
    for at in _segments(macho):
        (size,) = _VMSIZE.unpack_from(macho, at + _VMSIZE_AT)
        _VMSIZE.pack_into(rounded, at + _VMSIZE_AT, -(-size // _PAGE) * _PAGE)
    return bytes(rounded)


def _segments(macho: bytes) -> Iterator[int]:
    magic, _, _, _, count, _, _, _ = _HEADER.unpack_from(macho)
    if magic != _MAGIC_64:
        raise ValueError(f"no 64-bit Mach-O file: its magic is {magic:#x}")
    at = _HEADER.size
    for _ in range(count):
        command, size = _COMMAND.unpack_from(macho, at)
        if command == _LC_SEGMENT_64:
            yield at
        at += size


def _build_one(compiler: tuple[str, ...], source: Path, into: Path, scratch: Path) -> Path:
    name, flags = LIBRARIES.get(source.name, (source.stem, ()))
    try:
        # Relative names, and nothing of this machine in the file.
        subprocess.run(  # noqa: TID251 (a build knows nothing of the package)
            (*compiler, "cc", *FLAGS, *flags, "-o", str(scratch / name), source.name),
            cwd=source.parent,
            env=_environment(scratch / "zig"),
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        raise NoZigError(f"{ZIG}: there is no {error.filename}") from None
    return _put(whole_pages((scratch / name).read_bytes()), into / name)


def _environment(cache: Path) -> dict[str, str]:
    """Keep zig out of the caller's home; ZIG_GLOBAL_CACHE_DIR spares it seconds where many builds share one."""
    return {"ZIG_GLOBAL_CACHE_DIR": str(cache), **os.environ, "ZIG_LOCAL_CACHE_DIR": str(cache)}


def _put(content: bytes, target: Path) -> Path:
    new = target.with_name(f".{target.name}.{os.getpid()}")
    new.write_bytes(content)
    new.chmod(0o644 if target.suffix == ".dylib" else 0o755)
    return new.replace(target)
