"""A limited store after a reboot, not mounted yet: what replaces it as a whole finds it all the same."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.storepath import below
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.renewal import Renewal
from darlingbuilder.steps.snapshots import Snapshots
from tests.fakes.furnished import chosen, seen
from tests.fakes.history import Machine, machine
from tests.fakes.nix import add
from tests.names import UNIT

pytestmark = pytest.mark.skipif(process.find("zstd") is None, reason="this machine has no zstd")
PATHS = Paths(Settings())
LIMITED = chosen(store_size="1G")
OLD = "/nix/store/11111111111111111111111111111111-old"
NEW = "/nix/store/22222222222222222222222222222222-new"
NAME = "one"


@pytest.fixture
def rebooted() -> Iterator[Machine]:
    """Give a machine that was rebooted, whose builder waits for its first connection."""
    with machine() as one:
        use(one)
        one.world.volumes.lose()
        assert one.world.host.names(PATHS.nix) == []
        yield one


def use(one: Machine) -> Machine:
    one.init(LIMITED)
    one.world.systemd.stop(UNIT)
    add(state(one), OLD, {"out": "old\n"})
    return one


def change(one: Machine) -> None:
    add(state(one), NEW, {"out": "new\n"})
    one.world.host.remove(PATHS.nix / "store" / Path(OLD).name)


def state(one: Machine) -> Path:
    return one.world.host.real(PATHS.state)


def snapshots(one: Machine) -> Snapshots:
    return Snapshots(LIMITED.settings, one.world)


def converge_prefix(one: Machine) -> None:
    build(LIMITED, one.world).files[2].apply()


def paths(one: Machine) -> set[str]:
    return {path for path in (OLD, NEW) if below(state(one), path).exists()}


def test_a_snapshot_holds_the_store_and_not_the_place_where_it_was(rebooted: Machine) -> None:
    manifest = snapshots(rebooted).create(NAME)
    assert manifest.parts == ["prefix", "nix-store", "nix-var"]


def test_what_was_kept_comes_into_the_store_and_not_below_it() -> None:
    with machine() as one:
        snapshots(use(one)).create(NAME)
        change(one)
        one.world.volumes.lose()

        snapshots(one).restore(NAME)
        one.world.volumes.lose()
        one.init(LIMITED)

        assert paths(one) == {OLD}


def test_a_builder_begun_anew_has_nothing_of_the_old_store(rebooted: Machine) -> None:
    Renewal(LIMITED.settings, rebooted.world, keep_store=False).discard()
    rebooted.init(LIMITED)
    assert paths(rebooted) == set()


def test_where_it_cannot_be_mounted_nothing_is_begun(rebooted: Machine) -> None:
    rebooted.world.volumes.possible = False
    before = seen(rebooted.world.host.real(PATHS.prefix))

    for keep_store in (True, False):
        with pytest.raises(PrerequisiteError, match="cannot be mounted"):
            Renewal(LIMITED.settings, rebooted.world, keep_store=keep_store).discard()

    assert seen(rebooted.world.host.real(PATHS.prefix)) == before
    assert rebooted.world.host.attributes(PATHS.exchange) is None


def test_a_restoration_that_loses_power_ends_in_the_old_or_in_the_new() -> None:
    moment, going_on, ends = 0, True, set()
    while going_on:
        with machine() as one:
            use(one)
            snapshots(one).create(NAME)
            change(one)
            old, kept = stored(one), paths(one)

            going_on = one.interrupted(lambda one: snapshots(one).restore(NAME), moment)
            one.world.volumes.lose()
            one.init(LIMITED)

            assert paths(one) in (kept, {OLD}), moment
            assert (stored(one) == old) == (paths(one) == kept), moment
            if os.geteuid() == 0:  # owners that are only noted cannot come back
                assert one.wrong(LIMITED) == [], moment
            ends |= paths(one)
        moment += 1
    assert ends == {OLD, NEW}


def stored(one: Machine) -> dict[str, tuple[int, str]]:
    return seen(one.world.host.real(PATHS.nix) / "store")


def test_one_whose_sweeping_loses_power_is_swept_by_the_next_init() -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            snapshots(one).create(NAME)
            one.interrupted(lambda one: snapshots(one).restore(NAME), 8)
            going_on = one.interrupted(converge_prefix, moment)
            one.world.volumes.lose()
            one.init(LIMITED)
            assert [name for name in one.world.host.names(PATHS.nix) if name.startswith(".")] == [], moment
        moment += 1


def test_a_limit_that_was_being_raised_is_raised_before_anything_is_read() -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            going_on = one.interrupted(lambda one: one.init(chosen(store_size="2G")), moment)
            one.world.systemd.stop(UNIT)
            one.world.volumes.lose()
            manifest = snapshots(one).create(NAME)
            assert "nix-store" in manifest.parts, moment
            assert one.world.host.attributes(PATHS.growing_image) is None, moment
            one.init(chosen(store_size="2G"))
            assert paths(one) == {OLD}, moment
        moment += 1
