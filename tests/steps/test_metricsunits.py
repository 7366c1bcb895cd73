"""The timer for node_exporter comes and goes with its setting."""

import shlex
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.instance import Instance
from darlingbuilder.steps.commandlines import program
from darlingbuilder.steps.metricsunits import OURS, MetricsUnits
from darlingbuilder.steps.units import Units
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld, fake_world
from tests.names import METRICS_SERVICE_FILE, METRICS_TIMER, METRICS_TIMER_FILE

TEXTFILE = Path("/srv/metrics/builder.prom")
OTHER = Path("/srv/metrics/100% $HOME.prom")


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


def units(world: FakeWorld, textfile: Path | None = TEXTFILE) -> Units:
    return Units(chosen(metrics_textfile=str(textfile or "")), world)


def test_it_waits_where_it_is_asked_for(world: FakeWorld) -> None:
    units(world).apply()

    state = world.systemd.unit(METRICS_TIMER)
    assert units(world).check() == []
    assert (state.activity, state.file_state) == (Activity.ACTIVE, "enabled")


def test_it_runs_metrics_of_this_very_program(world: FakeWorld) -> None:
    units(world, OTHER).apply()
    text = (world.host.read(METRICS_SERVICE_FILE) or b"").decode()
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.partition("=")[2])]

    assert words[: len(program())] == program()
    assert cli.parser().parse_args(words[len(program()) :]).textfile == OTHER


def test_where_nobody_asks_there_is_none(world: FakeWorld) -> None:
    units(world, None).apply()
    assert world.host.read(METRICS_TIMER_FILE) is None
    assert world.host.read(METRICS_SERVICE_FILE) is None
    assert units(world, None).check() == []


def test_asked_for_or_no_longer_it_is_drift(world: FakeWorld) -> None:
    wanted, unwanted = (
        MetricsUnits(Instance(), world, path, "true", "metrics_textfile is unset") for path in (TEXTFILE, None)
    )
    assert [drift.detail for drift in wanted.check()] == ["absent", "absent"]
    wanted.apply()
    assert {drift.detail for drift in unwanted.check()} == {"is not wanted: metrics_textfile is unset"}


def test_one_that_was_stopped_is_drift(world: FakeWorld) -> None:
    units(world).apply()
    world.systemd.stop(METRICS_TIMER)
    (drift,) = units(world).check()
    assert (drift.what, drift.detail) == (METRICS_TIMER, "is inactive")
    units(world).apply()
    assert units(world).check() == []


def test_applied_again_nothing_changes(world: FakeWorld) -> None:
    units(world).apply()
    before = seen(world.host.root), times(world.host.root), world.systemd.unit(METRICS_TIMER)
    units(world).apply()
    assert (seen(world.host.root), times(world.host.root), world.systemd.unit(METRICS_TIMER)) == before


@pytest.mark.parametrize("after", [OTHER, None])
def test_the_figures_of_before_do_not_stay_behind(world: FakeWorld, after: Path | None) -> None:
    units(world).apply()
    world.host.write(TEXTFILE, OURS + b"converged x\n")

    units(world, after).apply()

    assert world.host.read(TEXTFILE) is None
    assert units(world, after).check() == []


def test_a_file_of_somebody_else_of_that_name_stays(world: FakeWorld) -> None:
    units(world).apply()
    world.host.write(TEXTFILE, b"# HELP other_things\n")
    units(world).revert()
    assert world.host.read(TEXTFILE) == b"# HELP other_things\n"


@pytest.mark.parametrize("install_unit", ["true", "false"])
def test_where_another_collector_writes_ours_do_not_come(world: FakeWorld, install_unit: str) -> None:
    # given: whoever else brings the units, the timer would write over it each minute
    world.host.write(TEXTFILE, b"# HELP other_things\n")
    before = seen(world.host.root)
    wanted = Units(chosen(metrics_textfile=str(TEXTFILE), install_unit=install_unit), world)
    # then
    [drift] = wanted.check()
    assert (drift.what, drift.detail[:32]) == (str(TEXTFILE), "holds no metrics of darlingbuild")
    with pytest.raises(ForeignFileError, match=r"builder\.prom holds no metrics of darlingbuilder"):
        wanted.apply()
    assert seen(world.host.root) == before


@pytest.mark.parametrize("content", [b"", OURS + b"converged x\n"])
def test_what_is_empty_or_our_own_is_taken(world: FakeWorld, content: bytes) -> None:
    world.host.write(TEXTFILE, content)
    units(world).apply()
    assert units(world).check() == []


def test_reverted_twice_nothing_of_it_is_left(world: FakeWorld) -> None:
    units(world).apply()
    for _ in range(2):
        units(world).revert()
    assert world.systemd.unit(METRICS_TIMER).load == "not-found"
    assert [path for path in seen(world.host.root) if "metrics" in path] == []


def test_a_unit_of_somebody_else_is_refused_and_stays(world: FakeWorld) -> None:
    world.host.write(METRICS_TIMER_FILE, b"[Timer]\n")
    with pytest.raises(ForeignFileError, match=r"darling-builder-metrics\.timer was not written by"):
        units(world).apply()
    units(world).revert()
    assert world.host.read(METRICS_TIMER_FILE) == b"[Timer]\n"


@pytest.mark.parametrize("path", ["metrics.prom", "/srv/metrics", "/srv/x.txt", "/srv/x.prom\n"])
def test_a_path_that_node_exporter_would_not_read_is_refused(path: str) -> None:
    with pytest.raises(Exception, match="metrics_textfile"):
        chosen(metrics_textfile=path)
