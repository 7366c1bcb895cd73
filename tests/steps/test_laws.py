"""The laws that every step obeys, alone and with the others, on a whole machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from darlingbuilder.core.config import Config
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.step import Step
from tests.fakes.furnished import chosen, furnish, scratch, seen, times
from tests.fakes.world import FakeWorld, fake_world

NAMES = [step.name for step in build(chosen(), fake_world(Path("/nowhere"))).steps]
KEYS = {
    "etc/nix/darling-builder-key",
    "etc/nix/darling-builder-key.pub",
    "var/lib/darling-builder",
    "var/lib/darling-builder/keys",
    "var/lib/darling-builder/keys/ssh_host_ed25519_key",
    "var/lib/darling-builder/keys/ssh_host_ed25519_key.pub",
}


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a machine that is in use, without a builder."""
    with scratch() as root:
        yield furnish(fake_world(root))


@pytest.fixture
def made(world: FakeWorld) -> FakeWorld:
    """Give such a machine with a builder."""
    apply_all(steps_of(world))
    return world


def steps_of(world: FakeWorld, config: Config | None = None, *, purge: bool = False) -> Sequence[Step]:
    return build(config or chosen(), world, purge=purge).steps


def step_of(world: FakeWorld, name: str) -> Step:
    return next(step for step in steps_of(world) if step.name == name)


def apply_all(steps: Sequence[Step]) -> None:
    for step in steps:
        step.apply()


def revert_all(steps: Sequence[Step]) -> None:
    for step in reversed(steps):
        step.revert()


def drifted(steps: Sequence[Step]) -> list[str]:
    return [step.name for step in steps if step.check()]


def test_every_step_has_a_name_of_its_own_that_is_one_word() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.isalpha() and name.islower() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_on_a_machine_without_a_builder_a_check_finds_drift(world: FakeWorld, name: str) -> None:
    assert step_of(world, name).check() != []


@pytest.mark.parametrize("name", NAMES)
def test_on_a_machine_with_nothing_at_all_a_check_finds_drift(tmp_path: Path, name: str) -> None:
    # given: no directory, no user, no Darling, no Nix
    world = fake_world(tmp_path)
    world.darling.installed = False
    world.nix.installed = False
    # then
    assert all(drift.what and drift.detail for drift in step_of(world, name).check())
    assert step_of(world, name).check() != []
    assert list(tmp_path.iterdir()) == []


def test_applied_in_order_every_step_is_as_it_should_be(world: FakeWorld) -> None:
    for step in steps_of(world):
        step.apply()
        assert step.check() == [], step.name
    assert drifted(steps_of(world)) == []


def test_a_step_that_is_applied_breaks_none_before_it(world: FakeWorld) -> None:
    steps = steps_of(world)
    for number, step in enumerate(steps):
        step.apply()
        assert drifted(steps[:number]) == [], step.name


@pytest.mark.parametrize("name", NAMES)
def test_a_step_applied_again_changes_no_content_and_no_time(made: FakeWorld, name: str) -> None:
    root = made.host.root
    before = seen(root), times(root)
    step_of(made, name).apply()
    assert (seen(root), times(root)) == before


def test_a_check_changes_nothing_at_any_time(world: FakeWorld) -> None:
    root = world.host.root
    for step in [None, *steps_of(world)]:
        if step:
            step.apply()
        before = seen(root), times(root)
        drifted(steps_of(world))
        assert (seen(root), times(root)) == before


def test_reverted_in_reverse_the_machine_is_as_before_but_for_the_keys(world: FakeWorld) -> None:
    # given
    before = seen(world.host.root)
    apply_all(steps_of(world))
    # when
    revert_all(steps_of(world))
    # then
    after = seen(world.host.root)
    assert {path: after.pop(path) for path in KEYS if path in after}.keys() == KEYS
    assert after == before
    assert world.accounts.find("darlingbuilder") is None


def test_a_purge_takes_the_keys_too(world: FakeWorld) -> None:
    before = seen(world.host.root)
    apply_all(steps_of(world))
    revert_all(steps_of(world, purge=True))
    assert seen(world.host.root) == before


def test_all_can_be_reverted_twice(made: FakeWorld) -> None:
    revert_all(steps_of(made, purge=True))
    before = seen(made.host.root)
    revert_all(steps_of(made, purge=True))
    assert seen(made.host.root) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reverted_has_drifted_and_can_be_reverted_again(made: FakeWorld, name: str) -> None:
    # given: those that come after it are reverted before it
    steps = steps_of(made, purge=True)
    number = NAMES.index(name)
    revert_all(steps[number:])
    assert steps[number].check() != []
    # when
    before = seen(made.host.root)
    steps[number].revert()
    # then
    assert seen(made.host.root) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_was_never_applied_can_be_reverted(world: FakeWorld, name: str) -> None:
    before = seen(world.host.root)
    for step in (step_of(world, name), next(one for one in steps_of(world, purge=True) if one.name == name)):
        step.revert()
    assert seen(world.host.root) == before


def test_on_a_machine_with_nothing_at_all_everything_can_be_reverted(tmp_path: Path) -> None:
    revert_all(steps_of(fake_world(tmp_path), purge=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("purge", [False, True])
def test_a_builder_can_be_made_again_after_its_end(made: FakeWorld, *, purge: bool) -> None:
    # given
    key = made.host.read(Path("/etc/nix/darling-builder-key"))
    revert_all(steps_of(made, purge=purge))
    # when
    apply_all(steps_of(made))
    # then
    assert drifted(steps_of(made)) == []
    assert (made.host.read(Path("/etc/nix/darling-builder-key")) == key) is not purge


@pytest.mark.parametrize(
    "flags",
    [
        {"port": "2022"},
        {"max_jobs": "auto", "speed_factor": "3", "supported_features": "big-parallel"},
        {"nix__version": "2.19.3"},
        {"protocol": "ssh", "cores": "2", "min_free": "1G", "max_free": "2G"},
        {"register": "false"},
        {"on_demand": "true", "idle_timeout": "600"},
        {"compat": "always", "compat_builds": "false"},
        {"compat": "never"},
        {"boot_timeout": "5", "grace": "10", "nofile": "1024"},
        {"breaker": "false", "health_interval": "60"},
    ],
    ids=",".join,
)
def test_a_change_of_the_settings_is_drift_and_converges(made: FakeWorld, flags: dict[str, str]) -> None:
    # given
    changed = steps_of(made, chosen(**flags))
    assert "settings" in drifted(changed)
    # when
    for step in changed:
        if step.check():
            step.apply()
    # then
    assert drifted(changed) == []


def test_a_builder_on_demand_comes_back_from_it(made: FakeWorld) -> None:
    for config in (chosen(on_demand="true"), chosen()):
        apply_all(steps_of(made, config))
        assert drifted(steps_of(made, config)) == []
    apply_all(steps_of(made, chosen(on_demand="true")))
    revert_all(steps_of(made, chosen(on_demand="true"), purge=True))
    assert [path for path in seen(made.host.root) if "darling-builder" in path] == []


def test_what_a_changed_builder_has_made_is_withdrawn_as_well(world: FakeWorld) -> None:
    # given
    before = seen(world.host.root)
    apply_all(steps_of(world))
    changed = chosen(port="2022", nix__version="2.19.3")
    apply_all(steps_of(world, changed))
    # when
    revert_all(steps_of(world, changed, purge=True))
    # then
    assert seen(world.host.root) == before
