import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import lief
import pytest

import hatch_build
from darlingbuilder.core import shim as shipped

from .conftest import PROJECT

PAGE = 0x1000
# What each correction takes the place of.
INTERPOSED = {
    "_getsockopt", "_proc_pidinfo", "_lchflags", "_chflags", "_accept", "_poll", "_sigaction", "_signal", "_execve",
    "_posix_spawn",
}  # fmt: skip
ON_MACOS_11 = (11, 0, 0)

# Of its own objects, at the end of the interpreter.
lief.disable_leak_warning()


@pytest.fixture(scope="module")
def macho(shim: Path) -> lief.MachO.Binary:
    fat = lief.MachO.parse(str(shim))
    assert fat is not None
    assert fat.size == 1
    found = fat.at(0)
    assert found is not None
    return found


def section_of(macho: lief.MachO.Binary, segment: str, name: str) -> lief.MachO.Section:
    found = macho.get_section(segment, name)
    assert found is not None
    return found


def test_it_is_a_library_for_x86_64(macho: lief.MachO.Binary) -> None:
    assert macho.header.file_type == lief.MachO.Header.FILE_TYPE.DYLIB
    assert macho.header.cpu_type == lief.MachO.Header.CPU_TYPE.X86_64


def test_it_runs_on_the_macos_that_darling_passes_for(macho: lief.MachO.Binary) -> None:
    assert macho.build_version is not None
    assert macho.build_version.platform == lief.MachO.BuildVersion.PLATFORMS.MACOS
    assert tuple(macho.build_version.minos) <= ON_MACOS_11
    assert not macho.has_dyld_chained_fixups, "the dyld of an older macOS knows none"


def test_it_knows_itself_by_its_place_in_the_guest(macho: lief.MachO.Binary) -> None:
    name = macho.get(lief.MachO.LoadCommand.TYPE.ID_DYLIB)
    assert isinstance(name, lief.MachO.DylibCommand)
    assert name.name == "/private/etc/darlingbuilder/compat.dylib"


def test_it_takes_the_place_of_what_it_corrects_and_of_nothing_else(macho: lief.MachO.Binary) -> None:
    section = section_of(macho, "__DATA", "__interpose")
    within = range(section.virtual_address, section.virtual_address + section.size)
    replaced = {
        binding.address: binding.symbol.name
        for binding in macho.bindings
        if binding.address in within and binding.symbol is not None
    }

    assert set(replaced.values()) == INTERPOSED
    # Pairs of pointers: ours, then the original.
    assert sorted(replaced) == [address + 8 for address in within[::16]]


def test_each_replacement_is_code_of_ours(macho: lief.MachO.Binary) -> None:
    section, text = section_of(macho, "__DATA", "__interpose"), section_of(macho, "__TEXT", "__text")
    pointers = [int.from_bytes(section.content[at : at + 8], "little") for at in range(0, section.size, 16)]

    assert len(set(pointers)) == len(INTERPOSED)
    assert all(text.virtual_address <= pointer < text.virtual_address + text.size for pointer in pointers)


def test_it_needs_libsystem_alone(macho: lief.MachO.Binary) -> None:
    needed = [library.name for library in macho.libraries if library.command != lief.MachO.LoadCommand.TYPE.ID_DYLIB]

    assert needed == ["/usr/lib/libSystem.B.dylib"]
    assert {binding.library.name for binding in macho.bindings if binding.library is not None} == set(needed)
    bound = {binding.symbol.name for binding in macho.bindings if binding.has_library and binding.symbol}
    assert {symbol.name for symbol in macho.imported_symbols} == bound


def test_its_segments_are_whole_pages_one_behind_the_other(macho: lief.MachO.Binary) -> None:
    segments = list(macho.segments)

    assert [segment.name for segment in segments][0::3] == ["__TEXT", "__LINKEDIT"]
    for segment in segments:
        assert segment.virtual_address % PAGE == 0
        assert segment.virtual_size % PAGE == 0
        assert segment.file_offset % PAGE == 0
        assert segment.file_size <= segment.virtual_size
    for one, next_one in pairwise(segments):
        assert one.virtual_address + one.virtual_size == next_one.virtual_address


def test_it_names_nothing_of_the_machine_that_built_it(shim: Path) -> None:
    content = shim.read_bytes()

    for place in (str(PROJECT), str(Path.home()), str(shim.parent), "/tmp", "ziglang"):  # noqa: S108 (none is used)
        assert place.encode() not in content


def test_it_is_the_same_wherever_it_is_built(shim: Path, build_in: Callable[[str], Path]) -> None:
    elsewhere = build_in("a-place-with-quite-another-name")

    assert elsewhere.parent != shim.parent
    assert elsewhere.read_bytes() == shim.read_bytes()


def test_the_installed_one_is_built_from_these_sources(shim: Path) -> None:
    assert shipped.dylib().read_bytes() == shim.read_bytes(), "pip install --editable ."


def test_all_that_runs_in_the_guest_is_built_by_one_compiler() -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]

    assert groups["guest"] == [hatch_build.ZIGLANG]


def test_without_zig_the_build_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compat.c").touch()
    monkeypatch.setenv("DARLINGBUILDER_ZIG", "/nowhere/zig")

    with pytest.raises(hatch_build.NoZigError, match="DARLINGBUILDER_ZIG: there is no /nowhere/zig"):
        hatch_build.build(tmp_path, tmp_path)


def test_what_is_no_macho_is_not_rounded() -> None:
    with pytest.raises(ValueError, match="no 64-bit Mach-O"):
        hatch_build.whole_pages(b"\x7fELF" + bytes(64))
