"""Each defect without the shim, with it, with everything but its correction, and with its correction alone."""

import pytest

from integration.conformance.defect import Defect

from .cases import CASES, Case
from .guest import WHOLE, Guest, all_but, only

each_defect = pytest.mark.parametrize("case", CASES, ids=str)


@each_defect
def test_a_stock_darling_has_the_defect(plain_guest: Guest, case: Case, defect: Defect) -> None:
    defect(plain_guest.run(case.script).text, stated=case.stated, mended=case.right)


@each_defect
def test_the_shim_cures_it(guest: Guest, case: Case) -> None:
    outcome = guest.run(case.script, WHOLE)
    assert outcome.text == case.right, outcome


@each_defect
def test_without_its_correction_the_defect_is_back(guest: Guest, case: Case, defect: Defect) -> None:
    defect(guest.run(case.script, all_but(case.correction)).text, stated=case.stated, mended=case.right)


@each_defect
def test_its_correction_alone_cures_it(guest: Guest, case: Case) -> None:
    outcome = guest.run(case.script, only(case.correction))
    assert outcome.text == case.right, outcome


@each_defect
def test_a_shim_that_only_spawns_corrects_nothing(guest: Guest, case: Case, defect: Defect) -> None:
    defect(guest.run(case.script, only("spawn")).text, stated=case.stated, mended=case.right)


def test_two_corrections_cure_two_defects(guest: Guest) -> None:
    first, second = CASES[0], CASES[2]
    outcome = guest.run(f"{first.script}\n{second.script}", only(first.correction, second.correction))
    assert outcome.text == first.right + second.right, outcome


KINDS = {
    "file": "touch {}",
    "directory": "mkdir {}",
    "symlink": "ln -s nowhere {}",
    "link to a file": "ln -s /bin/sh {}",
}


@pytest.mark.parametrize("call", ["lchflags", "chflags"])
@pytest.mark.parametrize("kind", KINDS)
def test_flags_are_not_supported_on_anything(guest: Guest, call: str, kind: str) -> None:
    path = f"/private/tmp/flags-$$-{call}"
    script = f'{KINDS[kind].format(path)}; "$PROGRAMS/flags" {call} 0 {path}; rm -rf {path}'
    outcome = guest.run(script, WHOLE)
    assert outcome.text in {"-1 ENOTSUP\n", "0 none\n"}, outcome


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_flags_of_what_is_no_symlink_need_no_shim(plain_guest: Guest, kind: str) -> None:
    path = "/private/tmp/plain-$$"
    outcome = plain_guest.run(f'{KINDS[kind].format(path)}; "$PROGRAMS/flags" lchflags 0 {path}; rm -rf {path}')
    assert outcome.text in {"-1 ENOTSUP\n", "0 none\n"}, outcome


def test_a_unix_socket_is_accepted_unasked(guest: Guest) -> None:
    outcome = guest.run('"$PROGRAMS/acceptnull" unix', WHOLE)
    assert outcome.text == "unasked: served\nfamily: right\nasked: served\ngroup: exit 0\n", outcome


def test_no_open_files_are_reported(guest: Guest) -> None:
    outcome = guest.run('"$PROGRAMS/pidinfo"', WHOLE)
    assert (outcome.text, outcome.err) == ("done\n", b"0\n"), outcome


POLLS = {
    "data": "1 none in in time\n",
    "signal": "-1 EINTR in time\n",
    "limit": "0 none in time\n",
    "closed": "1 none hup in time\n",
}


@pytest.mark.parametrize("what", POLLS)
def test_a_poll_ends_as_ever(guest: Guest, what: str) -> None:
    outcome = guest.run(f'"$PROGRAMS/polling" {what}', WHOLE)
    assert outcome.text == POLLS[what], outcome
