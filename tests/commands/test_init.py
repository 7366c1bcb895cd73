"""``init``: what it does, shows and says, and what it leaves alone."""

import os
from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import init
from darlingbuilder.commands.context import Context
from darlingbuilder.core import lock
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ExitCode, LockedError, PrerequisiteError, SystemdError
from darlingbuilder.core.paths import SSHD_CONFIG
from darlingbuilder.steps.converge import survey
from darlingbuilder.steps.plan import build
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld, beside
from tests.names import LOCK, UNIT

HOOK = "SYSTEMD_EXEC_PID"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorld]:
    """Give a machine in use, without a builder; what is called on it was not started by systemd."""
    monkeypatch.delenv(HOOK, raising=False)
    with machine() as made:
        yield made


@pytest.fixture
def made(world: FakeWorld) -> FakeWorld:
    """Give such a machine with a builder."""
    return make(world)


def run(context: Context, *, dry: bool = False) -> ExitCode:
    return init.run(context, Namespace(dry_run=dry))


def converge(world: FakeWorld, config: Config | None = None) -> ExitCode:
    """Run ``init`` without a look at the machine that runs the tests."""
    context = called(world, config)
    return init.make(context, build(context.called, world))


def wrong(world: FakeWorld) -> list[str]:
    return [found.step for found in survey(build(chosen(), world).steps) if not found.converged]


def looks(world: FakeWorld) -> tuple[object, object]:
    """Give contents and times of everything but the lock."""
    lock = str(LOCK.relative_to("/"))
    contents, modified = seen(world.host.root), times(world.host.root)
    return {**contents, lock: None}, {**modified, lock: None}


def test_a_builder_is_made_and_the_next_steps_are_named(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert converge(world, chosen(port="2022")) is ExitCode.OK

    printed = capsys.readouterr()
    assert "The builder runs on 127.0.0.1:2022." in printed.out
    assert "darlingbuilder test" in printed.out
    assert wrong(world) == ["settings", "sshd", "units", "registration"]  # of a builder on another port


@pytest.mark.parametrize(
    ("features", "more"),
    [
        (["flakes", "nix-command"], ""),
        (["nix-command"], " --extra-experimental-features 'nix-command flakes'"),
        ([], " --extra-experimental-features 'nix-command flakes'"),
    ],
)
def test_the_build_to_try_is_one_that_this_nix_and_this_darling_take(
    world: FakeWorld, capsys: pytest.CaptureFixture[str], features: list[str], more: str
) -> None:
    world.nix.configuration = {**world.nix.configuration, "experimental-features": features}
    converge(world)
    assert capsys.readouterr().out.endswith(
        f"  nix build nixpkgs/nixpkgs-25.05-darwin#hello --eval-system x86_64-darwin{more}\n"
    )


def test_each_change_is_announced_with_its_reason(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    converge(world)

    lines = capsys.readouterr().err.splitlines()
    announced = {line.partition("step=")[2].partition(" ")[0] for line in lines}
    assert announced == {step.name for step in build(chosen(), world).steps}
    assert "applying step=user what='user darlingbuilder' why=absent" in lines


def test_a_second_run_changes_nothing_and_says_so(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    # given: the lock in /run is no part of the builder, and there is one already
    converge(made)
    capsys.readouterr()
    pid, boots, before = made.systemd.unit(UNIT).main_pid, made.darling.boots, looks(made)
    # when
    assert converge(made) is ExitCode.OK
    # then
    assert looks(made) == before
    assert (made.systemd.unit(UNIT).main_pid, made.darling.boots) == (pid, boots)
    assert capsys.readouterr() == ("The builder is as it should be; nothing was changed.\n", "")


def test_only_what_has_drifted_is_applied(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.darling.files().remove(SSHD_CONFIG)

    converge(made)

    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "step=service" not in line] == [
        f"applying step=sshd what={SSHD_CONFIG} why=absent"
    ]
    assert wrong(made) == []


def test_as_the_units_hook_it_leaves_the_service_to_systemd(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(HOOK, str(os.getpid()))

    assert converge(world) is ExitCode.OK

    assert wrong(world) == ["service"]
    assert world.darling.server() is None
    assert capsys.readouterr().out == ""


def test_a_child_of_something_that_systemd_started_is_no_hook(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOOK, str(os.getppid()))
    converge(world)
    assert wrong(world) == []


def test_a_dry_run_shows_every_difference_and_changes_nothing(
    made: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    before = seen(made.host.root), times(made.host.root)
    # when
    code = run(called(made, chosen(port="2022")), dry=True)
    # then
    printed = capsys.readouterr().out
    assert code is ExitCode.DRIFT
    assert "drift settings: setting port: is 2222, should be 2022 (flag)" in printed
    assert "        -Port 2222\n        +Port 2022\n" in printed
    assert "  ok    prefix\n" in printed
    assert (seen(made.host.root), times(made.host.root)) == before


def test_a_dry_run_on_a_machine_without_a_builder_names_every_step(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(called(world), dry=True) is ExitCode.DRIFT
    named = {line.split()[1].rstrip(":") for line in capsys.readouterr().out.splitlines() if "  drift " in line}
    assert named == {step.name for step in build(chosen(), world).steps}


def test_a_dry_run_without_drift_gives_0(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(called(made), dry=True) is ExitCode.OK
    assert "drift" not in capsys.readouterr().out


def test_a_machine_that_lacks_something_is_refused_before_anything_is_changed(world: FakeWorld) -> None:
    world.darling.installed = False
    before = seen(world.host.root)

    with pytest.raises(PrerequisiteError, match="no launcher there"):
        run(called(world))

    assert seen(world.host.root) == before


def test_while_another_is_at_work_nothing_is_changed(world: FakeWorld) -> None:
    before = seen(world.host.root)
    with (
        lock.held(world.host.real(LOCK), purpose="uninstall", seconds=0),
        pytest.raises(LockedError, match=r"darlingbuilder uninstall \(pid \d+\) is at work"),
    ):
        converge(world)
    world.host.remove(LOCK)
    assert seen(world.host.root) == before


def test_one_that_is_at_work_keeps_no_other_builder_waiting(world: FakeWorld) -> None:
    second = chosen(instance="second")
    with lock.held(world.host.real(LOCK), purpose="reset", seconds=0):
        assert converge(beside(world, second.settings), second) is ExitCode.OK


def test_the_lock_is_free_while_the_service_starts(world: FakeWorld) -> None:
    # given: the start runs «init» as its hook
    hooks = []

    def hook(name: str) -> None:
        if name == UNIT:
            with lock.held(world.host.real(LOCK), purpose="init", seconds=0):
                hooks.append(name)

    world.systemd.on_start = hook
    # when
    converge(world)
    # then
    assert hooks == [UNIT]


def test_a_service_that_does_not_start_is_an_error_and_the_rest_is_done(world: FakeWorld) -> None:
    world.systemd.broken.add(UNIT)

    with pytest.raises(SystemdError, match=rf"start of {UNIT} failed"):
        converge(world)

    assert wrong(world) == ["service"]


def test_where_builds_are_off_it_says_so(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    converge(world, chosen(store="symlink"))

    said = capsys.readouterr()
    assert "the guest builds nothing" in said.out
    assert "darlingbuilder test" not in said.out
    assert 'warning: builds what=\'store = "symlink"' in said.err
