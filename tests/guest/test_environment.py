import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from darlingbuilder.core import shim

OURS = "/private/etc/darlingbuilder/compat.dylib"
# Darwin's numbers, of <sys/signal.h>; KILL, STOP and what does nothing by default are left out.
FATAL = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "FPE": 8, "BUS": 10, "SEGV": 11, "SYS": 12,
    "PIPE": 13, "ALRM": 14, "TERM": 15, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "USR1": 30, "USR2": 31,
}  # fmt: skip

Run = Callable[..., list[str]]


@pytest.fixture
def run(harness: Path) -> Run:
    """Run the shim's logic in an environment of these variables alone; gives the lines that it prints."""

    def lines(*words: str, given: str = "", **variables: str) -> list[str]:
        ran = subprocess.run(  # noqa: TID251 (the harness is tested, not the tool)
            (str(harness), *words), env=variables, input=given, text=True, capture_output=True, check=True, timeout=60
        )
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    return lines


def test_the_shim_knows_the_corrections_that_we_name(run: Run) -> None:
    assert run("chosen") == list(shim.CORRECTIONS)


@pytest.mark.parametrize(
    ("chosen", "in_force"),
    [
        ("", []),
        ("poll", ["poll"]),
        ("spawn,getsockopt", ["getsockopt", "spawn"]),
        (",accept,,poll,", ["accept", "poll"]),
        ("pol,polls,POLL, poll", []),
        ("of_a_newer_version,signals", ["signals"]),
    ],
)
def test_the_list_chooses_the_corrections_that_it_names(run: Run, chosen: str, in_force: list[str]) -> None:
    assert run("chosen", chosen) == in_force


def test_the_shim_is_hidden_from_the_program(run: Run) -> None:
    found = run("hide", OURS, A="1", DYLD_INSERT_LIBRARIES=OURS, B="2", DARLINGBUILDER_COMPAT="poll,spawn", C="3")

    assert found == [
        f"library {OURS}",
        "compat DARLINGBUILDER_COMPAT=poll,spawn",
        "ignored 00000000",
        "A=1",
        "B=2",
        "C=3",
    ]


@pytest.mark.parametrize(
    ("libraries", "rest"),
    [
        (f"{OURS}:/a.dylib", "/a.dylib"),
        (f"/a.dylib:{OURS}", "/a.dylib"),
        (f"/a.dylib:{OURS}:/b.dylib", "/a.dylib:/b.dylib"),
    ],
)
def test_a_library_of_the_program_s_own_stays_in_sight(run: Run, libraries: str, rest: str) -> None:
    assert run("hide", OURS, DYLD_INSERT_LIBRARIES=libraries)[0::3] == [
        f"library {OURS}",
        f"DYLD_INSERT_LIBRARIES={rest}",
    ]


def test_the_shim_is_known_by_another_path_to_the_same_file(run: Run) -> None:
    given = "/etc/darlingbuilder/compat.dylib"

    assert run("hide", OURS, DYLD_INSERT_LIBRARIES=given) == [f"library {given}", "compat ", "ignored 00000000"]


@pytest.mark.parametrize("libraries", ["/a/incompat.dylib", "/a/compat.dylib2", "/compat.dylib/a", "", ":"])
def test_a_library_of_nearly_that_name_is_none_of_ours(run: Run, libraries: str) -> None:
    found = run("hide", OURS, DYLD_INSERT_LIBRARIES=libraries)

    assert found == ["library ", "compat ", "ignored 00000000", f"DYLD_INSERT_LIBRARIES={libraries}"]


def test_a_list_too_long_to_be_ours_is_left_alone(run: Run) -> None:
    long = "x" * 300

    found = run("hide", OURS, DYLD_INSERT_LIBRARIES=OURS, DARLINGBUILDER_COMPAT=long)

    assert found == [f"library {OURS}", "compat ", "ignored 00000000", f"DARLINGBUILDER_COMPAT={long}"]


@pytest.mark.parametrize(("given", "seen"), [("8000f00a", "8000f00a"), ("a", "0000000a"), ("xyz", "00000000")])
def test_what_is_ignored_comes_along_unseen(run: Run, given: str, seen: str) -> None:
    found = run("hide", OURS, DYLD_INSERT_LIBRARIES=OURS, DARLINGBUILDER_IGNORED=given)

    assert found == [f"library {OURS}", "compat ", f"ignored {seen}"]


def test_an_empty_environment_is_given_the_shim(run: Run) -> None:
    found = run("carry", OURS, "0", DYLD_INSERT_LIBRARIES=OURS, DARLINGBUILDER_COMPAT="spawn")

    assert found == [f"DYLD_INSERT_LIBRARIES={OURS}", "DARLINGBUILDER_COMPAT=spawn"]


def test_variables_keep_their_order_and_the_shim_comes_last(run: Run) -> None:
    found = run("carry", OURS, "8002", given="B=2\nA=1\n", DYLD_INSERT_LIBRARIES=OURS)

    assert found == ["B=2", "A=1", f"DYLD_INSERT_LIBRARIES={OURS}", "DARLINGBUILDER_IGNORED=00008002"]


def test_the_shim_joins_a_library_of_the_program_s_own(run: Run) -> None:
    found = run("carry", OURS, "0", given="DYLD_INSERT_LIBRARIES=/a.dylib\nA=1\n", DYLD_INSERT_LIBRARIES=OURS)

    assert found == ["A=1", f"DYLD_INSERT_LIBRARIES={OURS}:/a.dylib"]


def test_the_shim_is_not_named_twice(run: Run) -> None:
    named = f"DYLD_INSERT_LIBRARIES=/a.dylib:{OURS}"

    assert run("carry", OURS, "0", given=f"{named}\n", DYLD_INSERT_LIBRARIES=OURS) == [named]


def test_a_program_may_choose_the_corrections_of_what_it_starts(run: Run) -> None:
    variables = {"DYLD_INSERT_LIBRARIES": OURS, "DARLINGBUILDER_COMPAT": "poll,spawn"}

    found = run("carry", OURS, "0", given="DARLINGBUILDER_COMPAT=accept\n", **variables)

    assert found == ["DARLINGBUILDER_COMPAT=accept", f"DYLD_INSERT_LIBRARIES={OURS}"]


@pytest.mark.parametrize("given", ["", "A=1\nDYLD_INSERT_LIBRARIES=/a.dylib\n"])
def test_who_was_not_given_the_shim_hands_nothing_on(run: Run, given: str) -> None:
    assert run("carry", OURS, "2", given=given, DARLINGBUILDER_COMPAT="spawn") == given.splitlines()


def test_the_largest_environment_within_the_bounds_is_carried_whole(run: Run) -> None:
    others = [f"DYLD_INSERT_LIBRARIES=/{'x' * 4094}", *(f"V{i}=" for i in range(4095))]
    library = f"/{'y' * 1009}/compat.dylib"
    variables = {"DYLD_INSERT_LIBRARIES": library, "DARLINGBUILDER_COMPAT": "z" * 255}

    found = run("carry", library, "ffffffff", given="\n".join(others), **variables)

    assert found[:4095] == others[1:]
    assert found[4095:] == [
        f"DYLD_INSERT_LIBRARIES={library}:/{'x' * 4094}",
        f"DARLINGBUILDER_COMPAT={'z' * 255}",
        "DARLINGBUILDER_IGNORED=ffffffff",
    ]


@pytest.mark.parametrize(
    "others",
    [[f"V{i}=" for i in range(4097)], [f"DYLD_INSERT_LIBRARIES=/{'x' * 4095}"]],
    ids=["too many variables", "too long a list of libraries"],
)
def test_an_environment_beyond_the_bounds_is_left_as_it_is(run: Run, others: list[str]) -> None:
    assert run("carry", OURS, "2", given="\n".join(others), DYLD_INSERT_LIBRARIES=OURS) == others


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_signal_has_linux_s_number(run: Run, name: str) -> None:
    assert run("signal", str(FATAL[name])) == [str(int(signal.Signals[f"SIG{name}"]))]


def test_no_other_signal_is_touched(run: Run) -> None:
    others = sorted(set(range(-1, 34)) - set(FATAL.values()))

    assert [run("signal", str(number)) for number in others] == [["0"]] * len(others)


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_signal_ends_its_own_process_alone(run: Run, name: str) -> None:
    number = int(signal.Signals[f"SIG{name}"])

    assert run("end", str(number)) == [f"child signal {number}", "sibling exit 0"]
