"""Darling's probes: what each makes of what a guest says, and all of them on a Darling that behaves."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import container, darling, guestprocesses, guestworld
from darlingbuilder.steps.prerequisites.finding import Finding, Level, Surroundings
from darlingbuilder.steps.prerequisites.guest import Boot
from darlingbuilder.steps.prerequisites.scratch import UnseenError
from tests.fakes.world import FakeWorld
from tests.steps.prerequisites.machine import around, fit_world

STATE = Path("/var/lib")
# What a stock Darling's bash answers to each script of the probes, as FACTS.md has it.
STOCK = (
    (r"exit 42", (42, "")),
    (r"kill -9", (0, "")),
    (r"kill -TERM", (1, "")),
    (r"ulimit", (0, "Unimplemented syscall (488)\n256\n")),
    (r"curl", (0, "curl=0\n")),
    (r"sw_vers", (0, "11.7.4\n")),
    (r"darlingbuilder-probe", (0, "lchflags: EINVAL\nrenameatx_np: ENOSYS\nclonefile: ENOSYS\n")),
)


def stock(command: tuple[str, ...]) -> tuple[int, str]:
    return next(answer for pattern, answer in STOCK if re.search(pattern, command[-1]))


def said(code: int, stdout: str = "", stderr: str = "") -> Completed:
    return Completed(("darling", "shell"), code, stdout, stderr)


def world_with(tmp_path: Path, bash: Callable[[tuple[str, ...]], tuple[int, str]] = stock) -> FakeWorld:
    world = fit_world(tmp_path, Settings()).with_user()
    world.darling.answers |= {"bash": bash, "/usr/sbin/sshd": lambda _: (255, "with IP opts: 00 00\n")}
    return world


def seen_by_root(world: FakeWorld) -> Surroundings:
    return replace(around(world, Settings()), resolves=lambda _name, _seconds: True)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {found.name: found for found in findings}


def test_a_stock_darling_has_defects_but_none_that_stands_in_the_way(tmp_path: Path) -> None:
    world = world_with(tmp_path)

    findings = by_name(darling.examine(seen_by_root(world)))

    assert [found.name for found in findings.values() if found.level is Level.FAILURE] == []
    assert findings["version"].figure == "0123abc"
    assert (findings["exit after kill"].level, findings["exit after kill"].figure) == (Level.WARNING, 0)
    hint = findings["process group"].hint
    assert "«signals» (a fatal signal ends its own process alone)" in hint
    assert 'compat = "auto"' in hint
    assert "compat_builds" in hint
    assert (findings["open files"].level, findings["open files"].figure) == (Level.OK, 256)
    assert findings["identity"].figure == "11.7.4"
    assert findings["boot output"].link.endswith("/1510")
    assert findings["first boot"].link.endswith("/1613")


def test_nothing_is_left_of_the_scratch_prefix_and_the_builder_s_is_not_touched(tmp_path: Path) -> None:
    world = world_with(tmp_path)

    darling.examine(seen_by_root(world))

    assert world.host.names(STATE) == []
    assert world.darling.boots == 0
    assert not world.darling.prefix.exists()


def test_without_root_every_probe_says_so_as_a_warning(tmp_path: Path) -> None:
    findings = darling.examine(replace(seen_by_root(world_with(tmp_path)), uid=1000))

    assert [found.name for found in findings] == [probe.name for probe in darling.PROBES]
    assert {(found.level, found.hint) for found in findings} == {(Level.WARNING, "run it with sudo")}


def test_without_a_launcher_or_a_user_every_probe_says_why(tmp_path: Path) -> None:
    world = fit_world(tmp_path, Settings())
    for missing in ("user", "launcher"):
        world.darling.installed = missing != "launcher"
        findings = darling.examine(seen_by_root(world))
        assert [found.name for found in findings] == [probe.name for probe in darling.PROBES]
        assert all(missing in found.detail and found.hint for found in findings)


def test_nobody_stands_in_for_a_user_who_is_still_to_be_made(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.accounts.delete("darlingbuilder")
    world.accounts.add("nobody")

    assert by_name(darling.examine(seen_by_root(world)))["boot"].detail == "as nobody"


def test_a_first_boot_that_fails_is_told_and_the_second_is_taken(tmp_path: Path) -> None:
    seen = container.judge_boot(Boot(world_with(tmp_path).darling, 2.0, "no shellspawn", first_failed=True), "nobody")

    assert seen.level is Level.WARNING
    assert "the first: no shellspawn" in seen.detail


def test_a_guest_that_does_not_boot_is_one_failure_and_leaves_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.darling.interrupted_boots = 99

    findings = by_name(darling.examine(seen_by_root(world)))

    assert [found.name for found in findings.values() if found.level is Level.FAILURE] == ["boot"]
    assert "did not boot" in findings["boot"].detail
    assert findings["dns"].detail == "not looked at: the guest does not boot"
    assert world.host.names(STATE) == []


def test_a_guest_that_prints_garbage_gives_findings_that_can_be_read(tmp_path: Path) -> None:
    world = world_with(tmp_path, lambda _: (0, "\x1b[2J\x00garbage" * 5000))

    findings = darling.examine(seen_by_root(world))

    assert by_name(findings)["exit status"].level is Level.FAILURE
    assert all(found.detail.isprintable() and len(found.detail) < 500 for found in findings)
    assert all(found.hint for found in findings if found.level is not Level.OK)


def test_a_place_is_removed_when_it_is_interrupted(tmp_path: Path) -> None:
    def interrupt(_command: tuple[str, ...]) -> tuple[int, str]:
        raise KeyboardInterrupt

    world = world_with(tmp_path, interrupt)

    with pytest.raises(KeyboardInterrupt):
        darling.examine(seen_by_root(world))

    assert world.host.names(STATE) == []


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (
            said(0, stderr="Setting up a new Darling prefix at /x\n/usr/bin/darling master @ 1a2b\nCopyright\n"),
            Level.OK,
        ),
        (said(0, stdout="GNU bash, version 5.2\n"), Level.FAILURE),
        (said(0), Level.FAILURE),
        (said(139), Level.FAILURE),
        (said(-11), Level.FAILURE),
        (said(TIMED_OUT), Level.FAILURE),
    ],
)
def test_a_launcher_tells_its_branch_and_commit(answer: Completed, level: Level) -> None:
    assert container.judge_version(answer, 5.0).level is level


def test_how_a_launcher_ends_is_told() -> None:
    assert "no end within 5.0 s" in container.judge_version(said(TIMED_OUT), 5.0).detail
    assert "ended by signal SEGV" in container.judge_version(said(-11), 5.0).detail
    crashed = said(139, stderr="Oops\n\nagain\n")
    assert "status 139, printed: Oops / again" in container.judge_version(crashed, 5.0).detail


@pytest.mark.parametrize(("seconds", "level"), [(1.9, Level.OK), (10.5, Level.WARNING)])
def test_a_slow_first_boot_is_a_warning(seconds: float, level: Level) -> None:
    assert container.judge_first_boot(seconds, Settings()).level is level


def test_a_boot_that_takes_half_of_what_it_may_is_slow() -> None:
    assert container.judge_first_boot(3.0, Settings(boot_timeout=5)).level is Level.WARNING


def test_a_boot_s_output_that_is_held_is_a_warning() -> None:
    assert container.judge_held_output(held=True).level is Level.WARNING
    assert container.judge_held_output(held=False).level is Level.OK


def test_a_status_that_does_not_come_through_is_a_failure() -> None:
    assert guestprocesses.judge_status(said(42)).level is Level.OK
    assert guestprocesses.judge_status(said(0)).level is Level.FAILURE


@pytest.mark.parametrize(("code", "level"), [(0, Level.WARNING), (137, Level.OK), (1, Level.OK)])
def test_a_killed_command_must_not_seem_to_be_done(code: int, level: Level) -> None:
    assert guestprocesses.judge_killed(code).level is level


@pytest.mark.parametrize(
    ("answer", "level"),
    [(said(0, "survived=143\n"), Level.OK), (said(0, "survived=0\n"), Level.WARNING), (said(1), Level.WARNING)],
)
def test_a_signal_must_end_its_own_process_alone(answer: Completed, level: Level) -> None:
    assert guestprocesses.judge_group(answer).level is level


@pytest.mark.parametrize(
    ("told", "level"), [("256", Level.OK), ("64", Level.OK), ("20000", Level.WARNING), ("unlimited", Level.WARNING)]
)
def test_a_limit_of_open_files_that_is_higher_than_set_costs_time(told: str, level: Level) -> None:
    assert guestprocesses.judge_open_files(told, 256, "a new container").level is level


@pytest.mark.parametrize(
    ("curl", "level"), [(0, Level.OK), (7, Level.OK), (22, Level.OK), (6, Level.WARNING), (28, Level.WARNING)]
)
def test_a_name_that_the_guest_does_not_find_is_a_warning(curl: int, level: Level) -> None:
    assert guestworld.judge_dns(said(0, f"curl={curl}\n")).level is level


@pytest.mark.parametrize("answer", [said(0, "curl=127\n"), said(0, "\x00"), said(TIMED_OUT)])
def test_a_guest_without_curl_says_nothing_of_names(answer: Completed) -> None:
    with pytest.raises(UnseenError, match="cannot run curl"):
        guestworld.judge_dns(answer)


@pytest.mark.parametrize(
    ("told", "level", "says"),
    [
        ("10.15", Level.WARNING, "nixpkgs 25.05, and a Nix of it, need macOS 11"),
        ("11.7.4", Level.WARNING, "enough for nixpkgs 25.05; 25.11 and later need macOS 14"),
        ("14", Level.OK, "enough for nixpkgs 25.11 and later"),
        ("15.2", Level.OK, "enough for nixpkgs 25.11 and later"),
    ],
)
def test_the_guest_s_macos_is_compared_with_what_nixpkgs_needs(told: str, level: Level, says: str) -> None:
    seen = guestworld.judge_identity(told, "Nix 2.31.2")

    assert (seen.level, seen.figure) == (level, told)
    assert says in seen.detail
    assert "Nix 2.31.2" in seen.detail


@pytest.mark.parametrize(
    ("seconds", "left", "level"), [(0.3, 0, Level.OK), (7.0, 0, Level.WARNING), (0.3, 2, Level.WARNING)]
)
def test_a_container_that_does_not_end_is_a_warning(seconds: float, left: int, level: Level) -> None:
    assert container.judge_shutdown(seconds, left=left).level is level


def test_an_end_that_fails_is_told_by_the_last_probe(tmp_path: Path) -> None:
    probed = darling.examine(seen_by_root(world_with(tmp_path)))

    findings = darling.completed(probed, DarlingError("the server does not end", hint="look at dmesg"))

    assert [found.name for found in findings] == [probe.name for probe in darling.PROBES]
    assert (findings[-1].detail, findings[-1].level) == ("the server does not end", Level.WARNING)
