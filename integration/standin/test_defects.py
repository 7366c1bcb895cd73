"""The stand-in's defects of a stock Darling: each shows without the shim, and with a shim that lacks its cure."""

from pathlib import Path

import pytest

from integration.conformance.launcher import Prefix
from integration.conformance.login import STRAY

from .conftest import FILE, LINK, PROBE
from .dylibs import dylib

# Correction by the functions that it interposes.
CORRECTIONS = {
    "getsockopt": ("getsockopt",),
    "proc_pidinfo": ("proc_pidinfo",),
    "lchflags": ("lchflags",),
    "signals": ("sigaction", "signal"),
    "spawn": ("execve", "posix_spawn"),
}
# Those of which the probe tells.
DEFECTS = ("getsockopt", "proc_pidinfo", "lchflags")
EVERY = set(DEFECTS)
SHIM = "/private/etc/darlingbuilder/compat.dylib"
# File types of Mach-O.
DYLIB, BUNDLE = b"\6\0\0\0", b"\x08\0\0\0"
PIPELINE = "/usr/bin/yes | /usr/bin/head -1; echo ${PIPESTATUS[*]}"
LIBRARIES, LIST = "DYLD_INSERT_LIBRARIES", "DARLINGBUILDER_COMPAT"


def shim(*corrections: str) -> bytes:
    """Give a dylib with the interpose tuples of these corrections and no others."""
    return dylib([symbol for correction in corrections for symbol in CORRECTIONS[correction]]).read_bytes()


def shim_without(correction: str) -> bytes:
    return shim(*(name for name in CORRECTIONS if name != correction))


def defects(guest: Prefix, *before: str) -> set[str]:
    """Name the defects that a process sees which is started by the command ``before``."""
    outcome = guest.shell(*before, PROBE, LINK, FILE)
    assert outcome.rc == 0, outcome
    return read(outcome.text)


def read(told: str) -> set[str]:
    """Name the defects of which the probe told; refuse what it cannot have said."""
    lines = told.splitlines()
    assert lines.count(f"{FILE}: registered") == 1, told
    signs = {
        "getsockopt": ("IP_OPTIONS: 200 bytes", "IP_OPTIONS: 0 bytes"),
        "proc_pidinfo": (STRAY.decode().splitlines()[0], None),
        "lchflags": (f"{LINK}: Invalid argument", f"{LINK}: registered"),
    }
    for sick, healthy in signs.values():
        assert lines.count(sick) + (healthy in lines) == 1 or (healthy is None and sick not in lines), told
    return {defect for defect, (sick, _) in signs.items() if sick in lines}


def with_shim(guest: Prefix, content: bytes, *more: str) -> tuple[str, ...]:
    """Put a shim into the guest; give the command that starts others with it."""
    guest.write(SHIM, content)
    return ("env", f"{LIBRARIES}={SHIM}", *more)


def test_without_a_shim_every_defect_shows(guest: Prefix) -> None:
    assert defects(guest) == EVERY


def test_the_whole_shim_cures_every_defect(guest: Prefix) -> None:
    assert defects(guest, *with_shim(guest, shim(*CORRECTIONS))) == set()


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_correction_cures_its_own_defect_alone(guest: Prefix, defect: str) -> None:
    assert defects(guest, *with_shim(guest, shim(defect))) == EVERY - {defect}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_correction_that_was_forgotten_leaves_its_defect(guest: Prefix, defect: str) -> None:
    assert defects(guest, *with_shim(guest, shim_without(defect))) == {defect}


def test_a_dylib_that_interposes_nothing_cures_nothing(guest: Prefix) -> None:
    assert defects(guest, *with_shim(guest, shim())) == EVERY


def test_a_dylib_for_another_processor_cures_nothing(guest: Prefix) -> None:
    symbols = [symbol for names in CORRECTIONS.values() for symbol in names]
    arm = dylib(symbols, target="aarch64-macos.11.0").read_bytes()
    assert defects(guest, *with_shim(guest, arm)) == EVERY


@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_dylib_that_is_cut_off_cures_nothing(guest: Prefix, part: float) -> None:
    whole = shim(*CORRECTIONS)
    assert defects(guest, *with_shim(guest, whole[: int(len(whole) * part)])) == EVERY


@pytest.mark.parametrize(
    ("there", "instead"),
    [(b"__interpose\0", b"__interposed"), (b"__DATA\0", b"__NATA\0"), (DYLIB, BUNDLE)],
    ids=["another-section", "another-segment", "a-bundle"],
)
def test_tuples_where_dyld_does_not_look_cure_nothing(guest: Prefix, there: bytes, instead: bytes) -> None:
    whole = shim(*CORRECTIONS)
    assert there in whole
    # Of the words with the value of a file type the first is it; names are changed wherever they stand.
    other = whole.replace(there, instead, 1 if instead == BUNDLE else -1)
    assert defects(guest, *with_shim(guest, other)) == EVERY


@pytest.mark.parametrize("symbol", [b"_getsockopX\0", b"_Getsockopt\0"])
def test_a_symbol_of_nearly_that_name_cures_nothing(guest: Prefix, symbol: bytes) -> None:
    other = shim(*CORRECTIONS).replace(b"_getsockopt\0", symbol)
    assert defects(guest, *with_shim(guest, other)) == {"getsockopt"}


def test_a_library_of_linux_cures_nothing(guest: Prefix) -> None:
    assert defects(guest, *with_shim(guest, Path("/bin/true").read_bytes())) == EVERY


@pytest.mark.parametrize("path", ["/private/etc/darlingbuilder/none.dylib", "/private/etc", "", ":"])
def test_a_path_with_no_file_cures_nothing(guest: Prefix, path: str) -> None:
    assert defects(guest, "env", f"{LIBRARIES}={path}") == EVERY


def test_the_shim_may_be_one_of_several_libraries(guest: Prefix) -> None:
    with_shim(guest, shim(*CORRECTIONS))
    assert defects(guest, "env", f"{LIBRARIES}=/none.dylib:{SHIM}") == set()


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_correction_that_is_not_listed_is_not_in_force(guest: Prefix, defect: str) -> None:
    listed = ",".join(name for name in CORRECTIONS if name != defect)
    assert defects(guest, *with_shim(guest, shim(*CORRECTIONS), f"{LIST}={listed}")) == {defect}


@pytest.mark.parametrize("listed", ["", ",", "getsock", "getsockopts", "accept,poll,signals"])
def test_a_list_without_any_of_them_puts_none_in_force(guest: Prefix, listed: str) -> None:
    assert defects(guest, *with_shim(guest, shim(*CORRECTIONS), f"{LIST}={listed}")) == EVERY


@pytest.mark.parametrize(
    "through",
    [
        ("env", "-i"),
        ("nice", "env", "-i"),
        ("bash", "-c", 'exec -c "$@"', "bash"),
        ("find", "/nix", "-prune", "-exec"),
    ],
    ids=lambda words: words[0],
)
def test_the_shim_reaches_what_is_started_with_no_environment(guest: Prefix, through: tuple[str, ...]) -> None:
    command = (*with_shim(guest, shim(*CORRECTIONS)), "env", "-i", *through)
    end = (";",) if through[0] == "find" else ()
    assert read(guest.shell(*command, PROBE, LINK, FILE, *end).text) == set()


def test_the_list_reaches_what_is_started_with_no_environment(guest: Prefix) -> None:
    command = with_shim(guest, shim(*CORRECTIONS), f"{LIST}=getsockopt,spawn")
    assert defects(guest, *command, "env", "-i") == EVERY - {"getsockopt"}


def test_a_process_does_not_see_that_it_has_the_shim(guest: Prefix) -> None:
    seen = guest.shell(*with_shim(guest, shim(*CORRECTIONS), f"{LIST}=spawn"), "env").text
    assert "PATH=" in seen
    assert LIBRARIES not in seen
    assert LIST not in seen


@pytest.mark.parametrize("more", [(), (f"{LIST}={','.join(DEFECTS)}",)], ids=["forgotten", "not-listed"])
def test_without_spawn_the_variable_is_seen_and_lost(guest: Prefix, more: tuple[str, ...]) -> None:
    command = with_shim(guest, shim(*CORRECTIONS) if more else shim_without("spawn"), *more)
    assert f"{LIBRARIES}={SHIM}\n" in guest.shell(*command, "env").text
    assert defects(guest, *command, "env") == set()
    assert defects(guest, *command, "env", "-i") == EVERY


@pytest.mark.parametrize(
    ("symbols", "lives"),
    [
        (["sigaction", "signal"], True),
        (["sigaction"], False),
        (["signal"], False),
        ([symbol for name in CORRECTIONS if name != "signals" for symbol in CORRECTIONS[name]], False),
    ],
    ids=["signals", "sigaction", "signal", "all-the-rest"],
)
def test_a_broken_pipe_kills_the_script_without_its_correction(
    guest: Prefix, symbols: list[str], *, lives: bool
) -> None:
    outcome = guest.shell(*with_shim(guest, dylib(symbols).read_bytes()), "bash", "-c", PIPELINE)
    assert ("141 0\n" in outcome.text) is lives, outcome


def test_a_script_without_an_environment_is_spared_by_the_whole_shim(guest: Prefix) -> None:
    command = with_shim(guest, shim(*CORRECTIONS))
    assert "141 0\n" in guest.shell(*command, "env", "-i", "bash", "-c", PIPELINE).text
    assert "141 0\n" not in guest.shell(*command, f"{LIST}=spawn", "env", "-i", "bash", "-c", PIPELINE).text


def test_a_handler_is_seen_as_it_was_set_with_or_without_the_shim(guest: Prefix) -> None:
    script = "trap 'echo trapped' TERM; kill -TERM $$; trap - TERM; (kill -TERM $BASHPID); echo $?"
    assert guest.shell(*with_shim(guest, shim(*CORRECTIONS)), "bash", "-c", script).text == "trapped\n143\n"
    assert guest.shell("bash", "-c", script).text == "trapped\n"


def test_a_mended_darling_has_no_defect(mended: Prefix) -> None:
    assert defects(mended) == set()
    assert "141 0\n" in mended.shell("bash", "-c", PIPELINE).text


def test_a_mended_darling_bears_the_shim(mended: Prefix) -> None:
    command = with_shim(mended, shim(*CORRECTIONS))
    assert defects(mended, *command) == set()
    assert LIBRARIES not in mended.shell(*command, "env").text


def test_symlinks_are_otherwise_as_ever(guest: Prefix) -> None:
    script = (
        f"cd /private/tmp && ln -s nowhere l && cp -a l m && mv m n && readlink n && cp -a {LINK} o && ls -l {LINK}"
    )
    outcome = guest.script(script)
    assert outcome.rc == 0, outcome
    assert outcome.err == b""
