"""What the head of a Mach-O file tells: what it is, for whom, and what it needs."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC_64 = 0xFEEDFACF
_HEADER = struct.Struct("<IiiIIIII")
_COMMAND = struct.Struct("<II")

X86_64 = 0x01000007
EXECUTABLE = 2

_LOAD_DYLIB = 0xC
_BUILD_VERSION = 0x32
_MACOS = 1


@dataclass(frozen=True, slots=True)
class MachO:
    """A 64-bit Mach-O file; ``oldest_macos`` is the major version it asks for."""

    architecture: int
    kind: int
    libraries: tuple[str, ...]
    oldest_macos: int


def parse(image: bytes) -> MachO:
    """Read a Mach-O image; raise ValueError if it is none for a 64-bit macOS."""
    magic, architecture, _, kind, count, *_ = _HEADER.unpack_from(image)
    if magic != _MAGIC_64:
        raise ValueError(f"no 64-bit Mach-O file: it begins with {magic:#x}")
    commands = list(_commands(image, count))
    libraries = tuple(_library(command) for number, command in commands if number == _LOAD_DYLIB)
    (oldest,) = (_oldest(command) for number, command in commands if number == _BUILD_VERSION)
    return MachO(architecture, kind, libraries, oldest)


def _commands(image: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    at = _HEADER.size
    for _ in range(count):
        number, size = _COMMAND.unpack_from(image, at)
        yield number, image[at : at + size]
        at += size


def _library(command: bytes) -> str:
    (name_at,) = struct.unpack_from("<I", command, _COMMAND.size)
    return command[name_at:].split(b"\0", 1)[0].decode()


def _oldest(command: bytes) -> int:
    platform, version = struct.unpack_from("<II", command, _COMMAND.size)
    if platform != _MACOS:
        raise ValueError(f"built for platform {platform}, not for macOS")
    return int(version >> 16)
