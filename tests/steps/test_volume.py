"""A limit for the store: what it holds goes along, there and back, whatever moment an interruption comes at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ConfigError, PrerequisiteError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.converge import converge
from darlingbuilder.steps.plan import build
from tests.fakes.furnished import chosen, times
from tests.fakes.history import Machine, machine
from tests.fakes.nix import add

PATHS = Paths(Settings())
LIMITED = chosen(store_size="1G")
BUILT = "/nix/store/33333333333333333333333333333333-built"


@pytest.fixture
def used() -> Iterator[Machine]:
    """Give a machine whose builder has built something."""
    with machine() as one:
        yield use(one)


def use(one: Machine, config: Config | None = None) -> Machine:
    one.init(config)
    add(one.world.host.real(PATHS.state), BUILT, {"out": "built\n"})
    return one


# What is copied as a whole keeps its owners, of which an ordinary user's files have but one.
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def limit(one: Machine) -> int | None:
    """Give the size of the image that holds the store; None if none does."""
    found = one.world.host.attributes(PATHS.image)
    mounted = one.world.volumes.is_mounted(one.world.host.real(PATHS.nix))
    return found.size if found and mounted else None


def has_built(one: Machine) -> bool:
    return one.world.nix.has(one.world.host.real(PATHS.state), BUILT)


def test_the_store_goes_into_a_file_system_of_that_size(used: Machine) -> None:
    used.init(LIMITED)

    assert limit(used) == 2**30
    assert has_built(used)
    assert used.wrong(LIMITED) == []
    assert [name for name in used.world.host.names(PATHS.state) if name.startswith("nix")] == ["nix", "nix.img"]


@as_root
def test_it_comes_out_again(used: Machine) -> None:
    used.init(LIMITED)
    used.init()

    assert (limit(used), used.world.host.attributes(PATHS.image)) == (None, None)
    assert has_built(used)
    assert used.wrong() == []


def test_one_that_is_as_it_should_be_is_left_alone(used: Machine) -> None:
    used.init(LIMITED)
    before = times(used.world.host.root)
    used.init(LIMITED)
    assert times(used.world.host.root) == before


def test_after_a_reboot_it_is_mounted_again(used: Machine) -> None:
    used.init(LIMITED)
    used.world.volumes.lose()
    assert "nix" in used.wrong(LIMITED)

    used.init(LIMITED)

    assert (limit(used), has_built(used)) == (2**30, True)


def test_it_grows_and_does_not_shrink(used: Machine) -> None:
    used.init(LIMITED)
    used.init(chosen(store_size="2G"))
    assert (limit(used), has_built(used)) == (2**31, True)

    with pytest.raises(ConfigError, match="cannot shrink") as caught:
        used.init(LIMITED)
    assert "set it to 0" in caught.value.hint
    assert limit(used) == 2**31


def test_another_disk_is_left_alone(used: Machine) -> None:
    place, other = used.world.host.real(PATHS.nix), used.world.host.real(Path("/disk"))
    used.world.volumes.make(other, 1000)
    used.world.volumes.mount(other, place)

    with pytest.raises(ConfigError, match="whose own size limits the store"):
        used.init(LIMITED)


def test_without_loop_devices_the_store_stays_as_it_is(used: Machine) -> None:
    used.world.volumes.possible = False
    with pytest.raises(PrerequisiteError, match="cannot be mounted"):
        used.init(LIMITED)

    used.init()
    assert has_built(used)
    assert used.wrong() == []


def test_an_uninstall_leaves_nothing_of_it() -> None:
    with machine() as one:
        one.init(LIMITED)
        one.uninstall(LIMITED)
        assert one.is_as_before()
        assert one.world.volumes.mounted == {}


SIZES = {"0": None, "1G": 2**30, "2G": 2**31}
LARGER = chosen(store_size="2G")


@as_root
@pytest.mark.parametrize(
    ("before", "after"),
    [(None, LIMITED), (LIMITED, None), (LIMITED, LARGER)],
    ids=["set", "lifted", "raised"],
)
def test_interrupted_at_any_moment_nothing_is_lost(before: Config | None, after: Config | None) -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one, before)
            going_on = one.interrupted(lambda one: one.init(after), moment)
            for target in (after, None, after):
                one.init(target)
                assert one.wrong(target) == [], moment
                assert has_built(one), moment
                assert limit(one) == SIZES[target.settings.store_size if target else "0"], moment
        moment += 1
    assert moment > 5


def test_what_is_interrupted_and_then_lost_in_a_reboot_is_not_lost() -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            going_on = one.interrupted(lambda one: one.init(LIMITED), moment)
            one.world.volumes.lose()
            for step in build(LIMITED, one.world).files:
                converge(step, announce=lambda *_: None)
            assert has_built(one), moment
        moment += 1
