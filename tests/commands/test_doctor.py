"""``doctor``, for people and for programs."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from darlingbuilder.commands import doctor
from darlingbuilder.commands.context import Context
from darlingbuilder.core import config
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.steps import preflight
from darlingbuilder.steps.prerequisites import darling
from darlingbuilder.steps.prerequisites.finding import Finding, Level
from tests.fakes.world import fake_world

FINDINGS = [
    Finding("nix", Level.OK, "2.26.3", "older ones cannot do it", ""),
    Finding("disk", Level.WARNING, "8.0 GiB free", "every build needs room", "make room"),
    Finding("launcher", Level.FAILURE, "no launcher there", "it boots the guest", "install Darling"),
]


def empty_machine(tmp_path: Path) -> Context:
    return Context(config.load(file=None, environment={}, flags={}), None, fake_world(tmp_path))


def test_reason_and_hint_stand_below_what_is_not_right() -> None:
    lines = doctor.text(FINDINGS).splitlines()

    assert lines == [
        "ok        nix       2.26.3",
        "warning   disk      8.0 GiB free",
        "          why: every build needs room",
        "          do:  make room",
        "failure   launcher  no launcher there",
        "          why: it boots the guest",
        "          do:  install Darling",
        "1 of 3 are right, 1 may give trouble, 1 must be mended",
    ]


def test_a_link_stands_last() -> None:
    found = Finding(
        "boot", Level.WARNING, "at the second attempt", "it must boot", "nothing", 2.1, "https://x.example"
    )

    assert doctor.text([found]).splitlines()[3] == "          see: https://x.example"


@pytest.mark.parametrize(
    ("findings", "made", "last"),
    [
        (FINDINGS[:2], False, "Next: darlingbuilder --instance b init"),
        (FINDINGS[:2], True, "1 of 2 are right, 1 may give trouble, 0 must be mended"),
        (FINDINGS, False, "1 of 3 are right, 1 may give trouble, 1 must be mended"),
    ],
)
def test_where_nothing_stands_in_the_way_of_a_builder_the_end_says_how_to_make_it(
    findings: list[Finding],
    made: bool,  # noqa: FBT001 - a parameter of the test
    last: str,
) -> None:
    assert doctor.text(findings, "b", made=made).splitlines()[-1] == last


def test_on_an_empty_machine_the_exit_code_says_that_something_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = doctor.run(empty_machine(tmp_path), Namespace(json=False))

    assert code is ExitCode.PREREQUISITE
    assert "failure   launcher" in capsys.readouterr().out


def test_json_holds_every_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = doctor.run(empty_machine(tmp_path), Namespace(json=True))

    printed = json.loads(capsys.readouterr().out)
    assert (code, printed["ok"]) == (ExitCode.PREREQUISITE, False)
    assert [found["name"] for found in printed["findings"]] == [
        *(check.name for check in preflight.CHECKS),
        *(probe.name for probe in darling.PROBES),
    ]
    assert all({"level", "figure", "hint", "link", "reason"} <= set(found) for found in printed["findings"])
    assert {found["level"] for found in printed["findings"]} <= {"ok", "warning", "failure"}
