"""The worked example of CONTRIBUTING.md is a step that obeys the laws of steps."""

import re
from pathlib import Path
from typing import Any

import pytest

from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.step import Step
from tests.fakes.furnished import chosen, furnish, scratch, seen, times
from tests.fakes.world import FakeWorld, fake_world

GUIDE = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
STEP, TEST = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def names() -> dict[str, Any]:
    """Give what the example defines."""
    defined: dict[str, Any] = {
        "__name__": "example",
        "pytest": pytest,
        "fake_world": fake_world,
        "ForeignFileError": ForeignFileError,
    }
    exec(STEP + TEST, defined)  # noqa: S102 - it is our own documentation
    return defined


def state(world: FakeWorld) -> object:
    return seen(world.host.root), times(world.host.root)


def test_the_example_of_a_step_obeys_its_laws(names: dict[str, Any]) -> None:
    """Those of tests/steps/test_laws.py, on the machine in use that they are tried on."""
    with scratch() as root:
        # given
        world = furnish(fake_world(root))
        world.host.make_directory(names["MOTD"].parent)  # the distribution's
        step: Step = names["Motd"](chosen().settings, world)
        before, untouched = seen(root), state(world)
        # then: a check only reads
        assert [drift.detail for drift in step.check()] == ["absent"]
        assert state(world) == untouched
        # and: what is applied is right, and is not applied again
        step.apply()
        assert step.check() == []
        applied = state(world)
        step.apply()
        assert state(world) == applied
        # and: it is reverted to the byte, and again without harm
        step.revert()
        step.revert()
        assert step.check()
        assert seen(root) == before


def test_the_example_of_a_step_finds_all_absent_on_a_machine_with_nothing(
    tmp_path: Path, names: dict[str, Any]
) -> None:
    assert [drift.detail for drift in names["Motd"](Settings(), fake_world(tmp_path)).check()] == ["absent"]
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_a_test_passes(tmp_path: Path, names: dict[str, Any]) -> None:
    names["test_a_message_of_somebody_else_stays"](tmp_path)


def test_the_example_is_short() -> None:
    assert len([line for line in STEP.splitlines() if line.strip()]) <= 35
