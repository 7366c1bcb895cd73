"""``uninstall``: all goes, the marker last, and what stays is said."""

from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import uninstall
from darlingbuilder.core import lock, log
from darlingbuilder.core.errors import BuilderError, ExitCode, LockedError
from darlingbuilder.core.paths import STORE, Paths
from darlingbuilder.core.settings import Settings
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen, seen
from tests.fakes.world import FakeWorld
from tests.names import LOCK, UNIT

PATHS = Paths(Settings())


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


def run(world: FakeWorld, *, purge: bool = False, **flags: str) -> ExitCode:
    return uninstall.run(called(world, chosen(**flags)), Namespace(purge=purge))


def test_nothing_is_left_but_the_keys(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    # given
    before = seen(world.host.root)
    make(world)
    # when
    assert run(world) is ExitCode.OK
    # then
    left = {f"/{path}" for path in seen(world.host.root).keys() - before.keys()}
    keys = {str(key) + half for key in (PATHS.key, PATHS.host_key) for half in ("", ".pub")}
    assert left == keys | {str(PATHS.state), str(PATHS.host_key.parent)}
    said = capsys.readouterr().out
    assert said.startswith(f"The builder is gone. Kept: its keys: {PATHS.key} and the state's keys/. The next init")


def test_a_purge_leaves_the_machine_as_it_was(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    before = seen(world.host.root)
    make(world)

    assert run(world, purge=True) is ExitCode.OK

    assert seen(world.host.root) == before
    assert capsys.readouterr().out == "The builder is gone.\n"


def test_a_second_one_has_nothing_to_do(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world)
    run(world)
    before = seen(world.host.root)
    capsys.readouterr()

    assert run(world) is ExitCode.OK

    assert seen(world.host.root) == before
    assert capsys.readouterr().out == "There is no builder in /var/lib/darling-builder; nothing to do.\n"


def test_a_purge_that_comes_too_late_says_what_stays(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world)
    run(world)

    assert run(world, purge=True) is ExitCode.OK

    assert world.host.attributes(PATHS.key)
    assert f"nothing to do. {PATHS.key} stays: remove it by hand" in capsys.readouterr().out


def test_with_quiet_only_what_is_wrong_is_said(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world)
    log.configure(verbose=False, quiet=True)
    try:
        assert run(world) is ExitCode.OK
    finally:
        log.configure(verbose=False, quiet=False)
    assert capsys.readouterr() == ("", "")


def test_without_a_marker_nothing_is_ours(world: FakeWorld) -> None:
    # given: all that a builder has, but for the file that says so
    make(world)
    world.host.remove(PATHS.marker)
    before = seen(world.host.root)
    # when
    run(world, purge=True)
    # then
    assert seen(world.host.root) == before


def test_it_is_the_builder_of_the_marker_that_goes(world: FakeWorld) -> None:
    before = seen(world.host.root)
    make(world, chosen(key="/etc/nix/other-key", port="2022"))

    run(world, purge=True)

    assert seen(world.host.root) == before


def test_the_service_stops_before_anything_goes(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world)
    run(world)

    order = [line.partition("step=")[2] for line in capsys.readouterr().err.splitlines()]
    assert (order[0], order[-1]) == ("service", "settings")
    assert world.systemd.unit(UNIT).activity.value == "inactive"


def test_a_builder_that_serves_in_the_foreground_goes_whole(world: FakeWorld) -> None:
    # given: the unit is stopped, and what serves instead has the host keep what the guest needs of it
    config = chosen(store="overlay")
    make(world, config)
    world.systemd.stop(UNIT)
    with world.host.real(PATHS.boot_log).open("ab") as boot_log:
        world.darling.boot(boot_log)
    kept = STORE / f"{'0' * 32}-hello"
    world.host.write_link(config.settings.names.host_roots / kept.name, str(kept))
    # when
    assert run(world, purge=True) is ExitCode.OK
    # then
    assert world.darling.server() is None
    assert [path for path in seen(world.host.root) if "darling-builder" in path] == []


def test_what_fails_keeps_the_marker_and_nothing_else(world: FakeWorld) -> None:
    # given
    make(world)
    world.systemd.reachable = False
    # when
    with pytest.raises(BuilderError, match="systemd does not answer") as caught:
        run(world)
    # then
    assert "run «darlingbuilder uninstall» again" in caught.value.hint
    assert world.host.attributes(PATHS.marker) is not None
    assert world.host.attributes(PATHS.prefix) is None
    # and
    world.systemd.reachable = True
    assert run(world) is ExitCode.OK
    assert world.host.attributes(PATHS.marker) is None


def test_while_another_is_at_work_nothing_goes(world: FakeWorld) -> None:
    make(world)
    with (
        lock.held(world.host.real(LOCK), purpose="init", seconds=0),
        pytest.raises(LockedError, match=r"darlingbuilder init \(pid \d+\) is at work"),
    ):
        run(world)
    assert world.host.attributes(PATHS.marker) is not None
    assert world.systemd.unit(UNIT).activity.value == "active"
