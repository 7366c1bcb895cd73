"""The shim in the guest: placed as it was built, replaced when it differs, and not there where it is not wanted."""

from pathlib import Path

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.paths import SHIM
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.compat import Compat
from tests.fakes.world import FakeWorld, fake_world


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path).with_prefix()


def test_the_shim_is_placed_and_found_again(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    assert [drift.detail for drift in step.check()] == ["absent"]

    step.apply()

    assert step.check() == []
    assert world.darling.files().read(SHIM) == shim.dylib().read_bytes()


def test_another_shim_is_replaced(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    step.apply()
    world.darling.files().write(SHIM, b"older")
    assert "another one" in step.check()[0].detail

    step.apply()

    assert step.check() == []


def test_a_shim_that_others_may_write_is_drift(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    step.apply()
    world.darling.files().write(SHIM, shim.dylib().read_bytes(), mode=0o666)
    assert "writable by nobody else" in step.check()[0].detail


def test_with_never_no_shim_is_wanted(world: FakeWorld) -> None:
    Compat(Settings(), world).apply()
    step = Compat(Settings(compat="never"), world)
    assert "not wanted" in step.check()[0].detail

    step.apply()

    assert step.check() == []
    assert world.darling.files().attributes(SHIM) is None


def test_the_shim_goes_with_the_builder(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    step.apply()
    step.revert()
    step.revert()
    assert world.darling.files().attributes(SHIM) is None
