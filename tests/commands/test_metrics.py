"""``metrics``: printed, or put whole where node_exporter reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from darlingbuilder import cli
from darlingbuilder.commands import metrics
from darlingbuilder.core.errors import ExitCode, ForeignFileError, PrerequisiteError, UsageError
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import seen
from tests.fakes.world import FakeWorld
from tests.names import UNIT

DIRECTORY = Path("/srv/metrics")
FILE = DIRECTORY / "builder.prom"


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield make(made)


def run(world: FakeWorld, *words: str) -> ExitCode:
    return metrics.run(called(world), cli.parser().parse_args(["metrics", *words]))


def names(text: str) -> set[str]:
    return {family.name for family in text_string_to_metric_families(text)}


def test_they_are_printed(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world) is ExitCode.OK
    assert "darlingbuilder_converged" in names(capsys.readouterr().out)


def test_a_file_of_them_is_readable_by_all_and_nothing_is_printed(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.host.make_directory(DIRECTORY)

    assert run(world, "--textfile", str(FILE)) is ExitCode.OK

    found = world.host.attributes(FILE)
    assert found is not None
    assert found.mode == 0o644
    assert "darlingbuilder_converged" in names((world.host.read(FILE) or b"").decode())
    assert world.host.names(DIRECTORY) == [FILE.name]
    assert capsys.readouterr().out == ""


def test_what_another_collector_tells_is_not_written_over(world: FakeWorld) -> None:
    world.host.write(FILE, b"# HELP node_disks\n")

    with pytest.raises(ForeignFileError, match="would be written over") as raised:
        run(world, "--textfile", str(FILE))

    assert "another file name" in raised.value.hint
    assert world.host.read(FILE) == b"# HELP node_disks\n"


def test_its_own_figures_of_before_are(world: FakeWorld) -> None:
    world.host.make_directory(DIRECTORY)
    run(world, "--textfile", str(FILE))
    world.systemd.stop(UNIT)
    assert run(world, "--textfile", str(FILE)) is ExitCode.OK
    assert b"\ndarlingbuilder_converged 0.0\n" in (world.host.read(FILE) or b"")


def test_a_directory_that_is_not_there_is_not_made(world: FakeWorld) -> None:
    before = seen(world.host.root)
    with pytest.raises(PrerequisiteError, match="/srv/metrics: no such directory"):
        run(world, "--textfile", str(FILE))
    assert seen(world.host.root) == before


@pytest.mark.parametrize("path", ["builder.prom", "/srv/builder.txt"])
def test_a_name_that_node_exporter_passes_by_is_refused(world: FakeWorld, path: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.prom"):
        run(world, "--textfile", path)
