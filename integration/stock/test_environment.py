"""The shim is out of sight of what is spawned, and still acts there."""

import pytest

from .cases import CASES
from .guest import CORRECTIONS, SHIM, WHOLE, Guest, all_but, only

CLEAN = "loaded: yes\n"
WAYS = {
    "directly": '"$PROGRAMS/environment"',
    "bash -c": 'bash -c \'"$0"; :\' "$PROGRAMS/environment"',
    "sh -c": 'sh -c \'"$0"; :\' "$PROGRAMS/environment"',
    "exec": 'exec "$PROGRAMS/environment"',
    "a subshell": '("$PROGRAMS/environment"; :)',
    "in the background": '"$PROGRAMS/environment" & wait',
    "env -i": 'env -i "$PROGRAMS/environment"',
    "env -i twice": 'env -i /usr/bin/env -i "$PROGRAMS/environment"',
    "env -u": 'env -u DYLD_INSERT_LIBRARIES -u DARLINGBUILDER_COMPAT "$PROGRAMS/environment"',
    "unset": 'unset DYLD_INSERT_LIBRARIES DARLINGBUILDER_COMPAT; "$PROGRAMS/environment"',
    "nice": 'nice "$PROGRAMS/environment"',
    "find -exec": 'find /bin/sh -exec "$PROGRAMS/environment" ";"',
    "find -exec +": 'find /bin/sh -exec "$PROGRAMS/environment" "{}" +',
    "xargs": 'echo ignored | xargs -n 1 "$PROGRAMS/environment"',
    "all of them": (
        'env -i nice bash -c \'echo /bin/sh | xargs -I {} find {} -exec "$0" ";"\' "$PROGRAMS/environment"'
    ),
    "a script with #!": (
        'printf "#!/bin/sh\\n%s\\n" "$PROGRAMS/environment" > /private/tmp/a-script; '
        "chmod 755 /private/tmp/a-script; env -i /private/tmp/a-script"
    ),
}
C_WAYS = (
    "execve", "execv", "execvp", "execl", "execlp", "execle", "setexec", "posix_spawn", "posix_spawnp", "vfork",
    "system", "popen",
)  # fmt: skip
WITH_A_GIVEN_ENVIRONMENT = ("execve", "execle", "setexec", "posix_spawn", "posix_spawnp", "vfork")


@pytest.mark.parametrize("way", WAYS)
def test_the_shim_goes_along_unseen(guest: Guest, way: str) -> None:
    outcome = guest.run(WAYS[way], WHOLE)
    assert outcome.text == CLEAN, outcome


@pytest.mark.parametrize("way", WAYS)
def test_what_is_in_force_goes_along_unseen(guest: Guest, way: str) -> None:
    outcome = guest.run(WAYS[way], only("lchflags", "spawn"))
    assert outcome.text == CLEAN, outcome


@pytest.mark.parametrize("way", C_WAYS)
def test_the_shim_goes_along_however_c_starts_a_program(guest: Guest, way: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/spawns" {way} "$PROGRAMS/environment"', WHOLE)
    assert outcome.text == f"{CLEAN}child: exit 0\n", outcome


@pytest.mark.parametrize("way", WITH_A_GIVEN_ENVIRONMENT)
def test_a_program_gets_the_environment_that_it_is_given(guest: Guest, way: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/spawns" {way} /usr/bin/env', WHOLE)
    assert outcome.text == "A=1\nB=2\nchild: exit 0\n", outcome


@pytest.mark.parametrize("listing", ["env", "/usr/bin/env", "printenv", "export -p", "set", "env -i /usr/bin/env"])
def test_no_listing_of_the_environment_names_the_shim(guest: Guest, listing: str) -> None:
    outcome = guest.run(f"{listing}; echo end", WHOLE)
    assert outcome.text.endswith("end\n"), outcome
    assert not any(word in outcome.text for word in ("DYLD_", "DARLINGBUILDER", SHIM)), outcome


def test_the_environment_is_otherwise_that_of_a_guest_without_the_shim(guest: Guest) -> None:
    script = "export KEPT='a b'; env | sort"
    assert guest.run(script, WHOLE).text == guest.run(script).text


def test_the_shim_acts_in_a_grandchild_of_an_empty_environment(guest: Guest) -> None:
    script = 'env -i bash -c \'env -i "$0/signals" spawn kill TERM; env -i "$0/sockopt"\' "$PROGRAMS"'
    outcome = guest.run(script, WHOLE)
    assert outcome.text == "child: TERM\nsibling: alive\ngroup: exit 0\n0 0\n", outcome


def test_only_what_is_in_force_acts_in_a_grandchild(guest: Guest) -> None:
    getsockopt = CASES[0]
    outcome = guest.run('env -i nice "$PROGRAMS/sockopt"', only("lchflags", "spawn"))
    assert outcome.text == guest.run(getsockopt.script).text, outcome


VISIBLE = "".join(
    f"{where}: {name}\n"
    for name in ("DYLD_INSERT_LIBRARIES", "DARLINGBUILDER_COMPAT")
    for where in ("getenv", "environ", "main")
)


def test_without_its_correction_the_variables_are_seen(guest: Guest) -> None:
    outcome = guest.run('"$PROGRAMS/environment"', all_but("spawn"))
    assert outcome.text == f"loaded: yes\n{VISIBLE}", outcome


def test_without_its_correction_an_empty_environment_loses_the_shim(guest: Guest) -> None:
    outcome = guest.run('env -i "$PROGRAMS/environment"', all_but("spawn"))
    assert outcome.text == "loaded: no\n", outcome


def test_there_is_a_spawn_to_be_switched_off(guest: Guest) -> None:
    assert "spawn" in CORRECTIONS
    assert guest.run('env -i "$PROGRAMS/environment"').text == "loaded: no\n"
