"""What signals do to guest processes and to the client."""

import os
import signal
import time

import pytest

from . import processes
from .defect import Defect
from .launcher import Prefix

LASTING_SECONDS = 4
FATAL = ("TERM", "INT", "HUP", "SEGV", "ABRT", "PIPE")


def test_a_child_that_sigkill_ended_gives_0(guest: Prefix, defect: Defect) -> None:
    defect(guest.script("kill -9 $$").rc, stated=0, mended=128 + signal.SIGKILL)


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_signal_kills_the_whole_process_group(guest: Prefix, name: str, defect: Defect) -> None:
    outcome = guest.script(f"echo begin; bash -c 'kill -s {name} $$'; echo end; exit 0")
    defect((outcome.rc, outcome.text), stated=(1, "begin\n"), mended=(0, "begin\nend\n"))


def test_a_broken_pipe_kills_the_script(guest: Prefix, defect: Defect) -> None:
    outcome = guest.script("yes | head -1; echo after")
    # Whether head has written its line when it is killed, too, is chance.
    defect((outcome.rc, "after" in outcome.text), stated=(1, False), mended=(0, True))


def test_a_signal_with_a_handler_harms_nobody(guest: Prefix) -> None:
    outcome = guest.script("trap 'echo trapped' TERM; kill -TERM $$; echo after")
    assert (outcome.rc, outcome.text) == (0, "trapped\nafter\n")


def test_an_ignored_signal_harms_nobody(guest: Prefix) -> None:
    outcome = guest.script("trap '' PIPE; yes 2> /dev/null | head -1; echo after")
    assert (outcome.rc, outcome.text) == (0, "y\nafter\n")


def test_a_process_group_of_its_own_bounds_the_harm(guest: Prefix) -> None:
    outcome = guest.script("set -m; bash -c 'kill -TERM $$'; echo after")
    assert outcome.text == "after\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("root")  # the client belongs to root, whoever called it
def test_the_client_without_a_terminal_swallows(guest: Prefix, number: signal.Signals, defect: Defect) -> None:
    begin = time.monotonic()
    with guest.running("sleep", str(LASTING_SECONDS)) as client:
        time.sleep(LASTING_SECONDS / 4)
        os.kill(client.pid, number)
        code = client.wait(3 * LASTING_SECONDS)
    lasted = time.monotonic() - begin > LASTING_SECONDS * 0.9
    defect((lasted, code == 0), stated=(True, True), mended=(False, False))


@pytest.mark.usefixtures("root")
def test_killing_the_client_kills_the_direct_child_alone(guest: Prefix) -> None:
    beat = 'while :; do echo >> "$1"; sleep 0.1; done'
    script = f"({beat}) & shift; {beat}"
    with guest.running("bash", "-c", script, "bash", "/private/tmp/grandchild", "/private/tmp/child"):
        assert processes.eventually(lambda: _beats(guest, "child") and _beats(guest, "grandchild"))
    assert processes.eventually(lambda: not _beats(guest, "child"))
    assert _beats(guest, "grandchild")
    guest.shell("pkill", "-f", "/private/tmp/grandchild")


def _beats(guest: Prefix, name: str) -> bool:
    count = f"wc -l < /private/tmp/{name}"
    first, second = guest.script(f"{count} && sleep 0.5 && {count}").text.split() or ("0", "0")
    return first != second
