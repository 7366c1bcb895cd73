"""``shell``: what is run in the guest, and with which words."""

from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import shell
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from tests.commands.builder import called, machine, make
from tests.fakes.world import FakeWorld


@pytest.fixture
def made() -> Iterator[FakeWorld]:
    with machine() as world:
        yield make(world)


def run(world: FakeWorld, *words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        shell.run(called(world), Namespace(command=list(words)))
    return ended.value.code


@pytest.mark.parametrize("words", [("false", "--", "x"), ("--", "false", "--", "x")])
def test_a_command_may_stand_behind_two_hyphens(made: FakeWorld, words: tuple[str, ...]) -> None:
    with made.host.real(Paths(Settings()).boot_log).open("ab") as log:
        made.darling.boot(log)
    made.darling.answers["false"] = lambda command: (3 if command == ("false", "--", "x") else 4, "")

    assert run(made, *words) == 3


def test_where_the_container_is_down_it_boots_none(made: FakeWorld) -> None:
    boots = made.darling.boots
    with pytest.raises(DarlingError, match="the container is down"):
        shell.run(called(made), Namespace(command=["true"]))
    assert made.darling.boots == boots
