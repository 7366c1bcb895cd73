"""All prerequisites together: one finding each, whatever the machine is like."""

from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.core.errors import ExitCode, PrerequisiteError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import preflight
from darlingbuilder.steps.prerequisites.finding import Check, Cost, Finding, Level, Surroundings, Verdict
from tests.fakes.world import fake_world
from tests.steps.prerequisites.machine import fit, free_port

# Their findings depend on the machine that runs the tests.
OUTSIDE = {"launcher", "disk", "systemd"}


def finding(name: str, level: Level) -> Finding:
    return Finding(name, level, f"{name} is not there", "it is needed", f"install {name}")


def test_on_a_fit_machine_every_finding_is_right(tmp_path: Path) -> None:
    findings = preflight.survey(fit(tmp_path, Settings(port=free_port())), preflight.CHECKS)

    assert [found for found in findings if found.name not in OUTSIDE and found.level is not Level.OK] == []


def test_on_an_empty_machine_every_check_still_gives_a_finding(tmp_path: Path) -> None:
    world = fake_world(tmp_path)
    world.nix.installed = False
    world.darling.installed = False
    world.systemd.reachable = False

    findings = preflight.survey(
        Surroundings(Settings(), world, uid=1000, processor="riscv64", find=lambda _name: None), preflight.CHECKS
    )

    assert [found.name for found in findings] == [check.name for check in preflight.CHECKS]
    failed = {found.name for found in preflight.failures(findings)}
    assert failed >= {"root", "processor", "tools", "launcher", "namespaces", "systemd", "nix"}
    assert all(found.detail and found.reason for found in findings)
    assert all(found.hint for found in findings if found.level is not Level.OK)


def test_a_check_that_cannot_look_finds_a_failure(tmp_path: Path) -> None:
    def unreadable(_surroundings: Surroundings) -> Verdict:
        raise PermissionError(13, "Permission denied", "/proc/1")

    found = Check("odd", "it is odd", unreadable).find(fit(tmp_path))

    assert found.level is Level.FAILURE
    assert "Permission denied" in found.detail


def test_the_preflight_makes_the_cheap_checks_alone(tmp_path: Path) -> None:
    names = [found.name for found in preflight.preflight(Settings(), fake_world(tmp_path))]

    assert names == [check.name for check in preflight.CHECKS if check.cost is Cost.CHEAP]


def test_nothing_is_refused_for_a_warning() -> None:
    preflight.refuse([finding("a", Level.OK), finding("b", Level.WARNING)])


def test_a_failure_is_refused_with_its_own_remedy() -> None:
    with pytest.raises(PrerequisiteError, match="b: b is not there") as caught:
        preflight.refuse([finding("a", Level.OK), finding("b", Level.FAILURE)])

    assert caught.value.hint == "install b"
    assert caught.value.exit_code == ExitCode.PREREQUISITE


def test_several_failures_are_all_named_with_their_remedies() -> None:
    with pytest.raises(PrerequisiteError, match="2 prerequisites are missing") as caught:
        preflight.refuse([finding("a", Level.FAILURE), finding("b", Level.FAILURE)])

    assert all(word in str(caught.value) for word in ("a is not there", "install a", "b is not there", "install b"))
    assert caught.value.hint


def test_who_is_not_root_is_told_so(tmp_path: Path) -> None:
    findings = preflight.survey(replace(fit(tmp_path), uid=1000), preflight.CHECKS)

    with pytest.raises(PrerequisiteError, match="root: no: uid 1000"):
        preflight.refuse([found for found in findings if found.name not in OUTSIDE | {"port"}])
