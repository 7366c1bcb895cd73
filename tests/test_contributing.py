"""The worked example of CONTRIBUTING.md is a step that obeys the laws of steps."""

import re
from pathlib import Path
from typing import Any

import pytest

from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.step import Step
from tests.fakes.world import fake_world

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


def test_the_example_of_a_step_obeys_its_laws(tmp_path: Path, names: dict[str, Any]) -> None:
    world = fake_world(tmp_path)
    step: Step = names["Motd"](Settings(), world)
    assert [drift.detail for drift in step.check()] == ["absent"]

    step.apply()
    written = world.host.attributes(names["MOTD"])
    step.apply()

    assert step.check() == []
    assert world.host.attributes(names["MOTD"]) == written
    step.revert()
    step.revert()
    assert step.check()


def test_the_example_of_a_test_passes(tmp_path: Path, names: dict[str, Any]) -> None:
    names["test_a_message_of_somebody_else_stays"](tmp_path)


def test_the_example_is_short() -> None:
    assert len([line for line in STEP.splitlines() if line.strip()]) <= 35
