"""The drain: who is let in at the last moment is waited for, but not for longer than the machine may last."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters.systemd import Manager
from darlingbuilder.steps.draining import Draining
from tests.steps.running_builder import Site, site


@pytest.fixture
def ours() -> Iterator[Site]:
    """Give a builder that serves."""
    with site(boot_timeout="10", grace="5") as made:
        made.builder.boot()
        yield made


def drained(ours: Site, *, at_once: bool = False) -> float:
    """Drain, and say how long it took."""
    began = time.monotonic()
    Draining(ours.settings, ours.world, ours.tell, lambda: at_once).run(lambda: None)
    return time.monotonic() - began


def with_process(ours: Site, name: str) -> None:
    with Path("/dev/null").open("wb") as log:
        ours.darling.start(name, log=log)


@pytest.mark.parametrize(
    "connection", ["sshd: darlingbuilder@notty", "sshd: [accepted]", "sshd-session: darlingbuilder"]
)
def test_a_connection_that_has_no_session_yet_gets_some_seconds(ours: Site, connection: str) -> None:
    with_process(ours, connection)
    assert 2.5 < drained(ours) < 4.5


def test_its_build_then_gets_the_grace(ours: Site) -> None:
    with_process(ours, "sshd: [accepted]")
    ours.on_hearing = lambda line: (
        with_process(ours, "nix-daemon") if "draining 0" in line and len(ours.darling.programs) < 2 else None
    )
    assert 4.5 < drained(ours) < 7


def test_where_no_build_is_to_be_waited_for_nothing_is(ours: Site) -> None:
    with_process(ours, "nix-daemon")
    assert drained(ours, at_once=True) < 1


@pytest.mark.parametrize(("seconds", "most"), [(17.0, 3.5), (10.0, 1.0)])
def test_a_machine_that_goes_down_leaves_builds_what_systemd_leaves_us(
    ours: Site, seconds: float, most: float
) -> None:
    ours.world.systemd.itself = Manager(stopping=True, stop_seconds=seconds)
    with_process(ours, "nix-daemon")
    assert drained(ours) < most


@pytest.mark.parametrize(
    "itself", [Manager(stopping=True, stop_seconds=None), Manager(stopping=False, stop_seconds=10.0)]
)
def test_any_other_leaves_them_their_grace(ours: Site, itself: Manager) -> None:
    ours.world.systemd.itself = itself
    with_process(ours, "nix-daemon")
    assert 4.5 < drained(ours) < 7


def test_where_systemd_does_not_answer_they_have_it_too(ours: Site) -> None:
    ours.world.systemd.reachable = False
    with_process(ours, "nix-daemon")
    assert 4.5 < drained(ours) < 7
