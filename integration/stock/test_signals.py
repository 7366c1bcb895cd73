"""What a fatal signal ends: with the shim the process that got it, and nothing else."""

import pytest

from integration.conformance.defect import Defect

from .guest import WHOLE, WITHOUT, Guest, Preload, all_but

# Darwin's numbers.
NUMBERS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "BUS": 10, "SEGV": 11, "PIPE": 13, "ALRM": 14,
    "TERM": 15, "XCPU": 24, "USR1": 30, "USR2": 31,
}  # fmt: skip
NATURAL = ("ILL", "ABRT", "FPE", "BUS", "SEGV", "PIPE", "ALRM")
# Every bash ignores SIGQUIT, and does not hand that on.
FATAL_TO_BASH = tuple(name for name in NUMBERS if name != "QUIT")
PROGRAM_DIES = 'echo begin; "$PROGRAMS/signals" die kill {0}; echo $?; echo end'
BASH_DIES = "echo begin; bash -c 'kill -s {0} $$'; echo $?; echo end"
LETHAL = "child: {0}\nsibling: alive\ngroup: exit 0\n"

each_signal = pytest.mark.parametrize("name", NUMBERS)


@each_signal
def test_a_stock_darling_kills_the_whole_group(plain_guest: Guest, name: str, defect: Defect) -> None:
    outcome = plain_guest.run(f'"$PROGRAMS/signals" fork kill {name}')
    defect(outcome.text, stated=f"group: {name}\n", mended=LETHAL.format(name))


@each_signal
@pytest.mark.parametrize("how", ["fork", "exec", "spawn"])
def test_a_parent_in_c_sees_its_child_die_alone(guest: Guest, how: str, name: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/signals" {how} kill {name}', WHOLE)
    assert outcome.text == LETHAL.format(name), outcome


@pytest.mark.parametrize("cause", ["raise", "thread", "parent"])
@pytest.mark.parametrize("name", ["TERM", "SEGV", "USR1"])
def test_wherever_the_signal_comes_from(guest: Guest, name: str, cause: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/signals" exec {cause} {name}', WHOLE)
    assert outcome.text == LETHAL.format(name), outcome


@pytest.mark.parametrize("name", NATURAL)
def test_a_signal_that_a_program_brings_about_itself(guest: Guest, name: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/signals" exec nature {name}', WHOLE)
    assert outcome.text == LETHAL.format(name), outcome


@pytest.mark.parametrize("preload", [WITHOUT, WHOLE], ids=["without", "with"])
def test_sigkill_is_what_it_was(guest: Guest, preload: Preload) -> None:
    outcome = guest.run("\"$PROGRAMS/signals\" exec kill KILL; bash -c 'kill -KILL $$'; echo $?", preload)
    assert outcome.text == LETHAL.format("KILL") + "137\n", outcome


@each_signal
def test_bash_sees_128_and_the_number(guest: Guest, name: str) -> None:
    outcome = guest.run(PROGRAM_DIES.format(name), WHOLE)
    assert outcome.text == f"begin\n{128 + NUMBERS[name]}\nend\n", outcome


@pytest.mark.parametrize("name", FATAL_TO_BASH)
def test_bash_sees_another_die(guest: Guest, name: str) -> None:
    outcome = guest.run(BASH_DIES.format(name), WHOLE)
    assert outcome.text == f"begin\n{128 + NUMBERS[name]}\nend\n", outcome


@pytest.mark.parametrize("name", FATAL_TO_BASH)
@pytest.mark.parametrize("script", [PROGRAM_DIES, BASH_DIES], ids=["a program", "a bash"])
def test_bash_dies_with_its_child_on_a_stock_darling(
    plain_guest: Guest, script: str, name: str, defect: Defect
) -> None:
    outcome = plain_guest.run(script.format(name))
    defect(outcome.text, stated="begin\n", mended=f"begin\n{128 + NUMBERS[name]}\nend\n")


PIPELINE = 'yes | head -1; echo "${PIPESTATUS[@]}"; echo after'


def test_a_broken_pipe_kills_the_script_of_a_stock_darling(plain_guest: Guest, defect: Defect) -> None:
    # Whether head has written its line when it is killed, too, is chance.
    defect("after" in plain_guest.run(PIPELINE).text, stated=False, mended=True)


def test_a_script_outlives_a_broken_pipe_and_sees_it(guest: Guest) -> None:
    outcome = guest.run(PIPELINE, WHOLE)
    assert outcome.text == "y\n141 0\nafter\n", outcome


def test_pipefail_tells_of_a_broken_pipe(guest: Guest) -> None:
    outcome = guest.run("set -o pipefail; yes | head -1; echo $?", WHOLE)
    assert outcome.text == "y\n141\n", outcome


def test_a_broken_pipe_kills_the_script_without_the_correction(guest: Guest, defect: Defect) -> None:
    defect("after" in guest.run(PIPELINE, all_but("signals")).text, stated=False, mended=True)


JOB = "sleep 20 & sleep 0.5; kill -{0} $!; wait $!; echo $?; echo after"


def test_a_background_job_takes_the_script_along_on_a_stock_darling(plain_guest: Guest, defect: Defect) -> None:
    defect(plain_guest.run(JOB.format("TERM")).text, stated="", mended="143\nafter\n")


@pytest.mark.parametrize("name", ["TERM", "HUP", "KILL"])
def test_a_background_job_is_ended_alone(guest: Guest, name: str) -> None:
    outcome = guest.run(JOB.format(name), WHOLE)
    assert outcome.text == f"{128 + ({**NUMBERS, 'KILL': 9})[name]}\nafter\n", outcome


TRAPS = {
    "trap 'echo trapped' TERM; kill -TERM $$; echo after": "trapped\nafter\n",
    "trap 'echo one' USR1; trap 'echo two' USR2; kill -USR1 $$; kill -USR2 $$; echo after": "one\ntwo\nafter\n",
    "bash -c 'trap \"echo bye\" EXIT; exit 3'; echo $?": "bye\n3\n",
    "bash -c 'trap \"echo bye\" EXIT; kill -TERM $$; sleep 1'; echo $?": "bye\n143\n",
    "bash -c 'trap \"echo no\" TERM; trap - TERM; kill -TERM $$; sleep 1'; echo $?": "143\n",
    "trap '' TERM; kill -TERM $$; echo after": "after\n",
    "bash -c 'trap \"exit 5\" HUP; kill -HUP $$; sleep 1'; echo $?": "5\n",
    "(trap 'echo inner' TERM; sleep 2 & wait) & sleep 0.5; kill -TERM $!; wait $!; echo after": "inner\nafter\n",
}


@pytest.mark.parametrize("script", TRAPS)
def test_traps_of_bash_are_as_ever(guest: Guest, script: str) -> None:
    outcome = guest.run(script, WHOLE)
    assert outcome.text == TRAPS[script], outcome


INHERITED = "trap '' TERM PIPE; \"$PROGRAMS/dispositions\" read TERM PIPE HUP; echo end"
IGNORED = "TERM ignored\nPIPE ignored\nHUP default\nend\n"


def test_a_stock_darling_forgets_over_exec_what_is_ignored(plain_guest: Guest, defect: Defect) -> None:
    # Read in its source: sys_sigaction keeps all but SIGCHLD and SIGTTOU in a table of the process (sigaction.c), and
    # a new program begins with an empty one, so nohup and trap '' reach no further than a fork.
    defect(plain_guest.run(INHERITED).text, stated="TERM default\nPIPE default\nHUP default\nend\n", mended=IGNORED)


def test_what_is_ignored_is_ignored_over_exec(guest: Guest) -> None:
    outcome = guest.run(INHERITED, WHOLE)
    assert outcome.text == IGNORED, outcome


def test_an_ignored_signal_does_not_end_a_program(guest: Guest) -> None:
    script = "trap '' TERM; bash -c 'kill -TERM $$; echo alive'; nice bash -c 'kill -TERM $$; echo alive'"
    outcome = guest.run(script, WHOLE)
    assert outcome.text == "alive\nalive\n", outcome


def test_a_program_begins_with_the_default(guest: Guest) -> None:
    outcome = guest.run(f'"$PROGRAMS/dispositions" read {" ".join(NUMBERS)}', WHOLE)
    assert outcome.text == "".join(f"{name} default\n" for name in NUMBERS), outcome


RESET = """\
at the start: default
replaced by ours: default
then: ours
handled: 1
replaced by the default: ours
then: default
child: {0}
group: exit 0
"""


@pytest.mark.parametrize("call", ["sigaction", "signal"])
@each_signal
def test_a_handler_is_set_used_and_taken_back(guest: Guest, call: str, name: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/dispositions" reset {call} {name}', WHOLE)
    assert outcome.text == RESET.format(name), outcome


@each_signal
def test_flags_mask_and_handler_are_read_as_they_were_set(guest: Guest, name: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/dispositions" flags {name}', WHOLE)
    assert outcome.text == "flags: kept\nhandler: kept\nmask: kept\n", outcome
