"""The port, on the real machine: free, somebody else's, or the builder's own."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites.finding import Level
from darlingbuilder.steps.prerequisites.port import port
from tests.fakes.darling import FakeDarling
from tests.steps.prerequisites.machine import fit, free_port, listening


@dataclass(slots=True)
class DarlingWithThisProcess(FakeDarling):
    """One in whose container the test itself runs."""

    def processes(self) -> list[Process]:
        """See Darling."""
        return [found for found in [procfs.process(os.getpid())] if found]


def test_a_free_port_is_right(tmp_path: Path) -> None:
    assert port(fit(tmp_path, Settings(port=free_port()))).level is Level.OK


def test_a_port_that_somebody_else_holds_is_named_with_its_holder(tmp_path: Path) -> None:
    with listening() as taken:
        verdict = port(fit(tmp_path, Settings(port=taken)))

    assert verdict.level is Level.FAILURE
    assert f"(pid {os.getpid()})" in verdict.detail


def test_a_port_that_the_builder_holds_is_right(tmp_path: Path) -> None:
    with listening() as taken:
        surroundings = fit(tmp_path, Settings(port=taken))
        darling = DarlingWithThisProcess(tmp_path / "prefix", "darlingbuilder", surroundings.world.accounts)

        verdict = port(replace(surroundings, world=replace(surroundings.world, darling=darling)))

    assert verdict.level is Level.OK
    assert "the builder's own" in verdict.detail
