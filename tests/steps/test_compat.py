"""The shim in the guest: placed as it was built, replaced when it differs, and not there where it is not wanted."""

from pathlib import Path
from typing import Literal

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.errors import GuestPathError
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


@pytest.mark.parametrize("compat", ["auto", "never"])
def test_a_link_in_the_place_of_its_directory_is_not_followed(
    world: FakeWorld, tmp_path: Path, compat: Literal["auto", "never"]
) -> None:
    # given: the guest's user, who owns the directory above, has put it there
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / SHIM.name).write_text("precious")
    world.darling.files().remove(SHIM.parent)
    world.darling.files().write_link(SHIM.parent, str(elsewhere))
    step = Compat(Settings(compat=compat), world)
    # then
    assert "replaced" in step.check()[0].detail or "no directory" in step.check()[0].detail
    with pytest.raises(GuestPathError):
        step.apply()
    step.revert()
    assert (elsewhere / SHIM.name).read_text() == "precious"


def test_what_others_have_put_beside_the_shim_stays(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    step.apply()
    world.darling.files().write(SHIM.with_name("other"), b"x")

    step.revert()

    assert world.darling.files().names(SHIM.parent) == ["other"]


def test_the_shim_goes_with_the_builder(world: FakeWorld) -> None:
    step = Compat(Settings(), world)
    step.apply()
    step.revert()
    step.revert()
    assert world.darling.files().attributes(SHIM) is None
