"""A builder begun anew: what goes, what stays, and that it can be interrupted at every moment."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import standstill
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.pristine import Pristine
from darlingbuilder.steps.renewal import Renewal
from tests.fakes.furnished import chosen
from tests.fakes.history import Machine, machine
from tests.fakes.nix import add

PATHS = Paths(Settings())
OTHER = "/nix/store/33333333333333333333333333333333-built"
PLANTED = Path("/private/planted")


@pytest.fixture
def used() -> Iterator[Machine]:
    """Give a machine whose builder has been used."""
    with machine() as one:
        yield use(one)


def use(one: Machine) -> Machine:
    one.init()
    one.world.darling.files().write(PLANTED, b"by a build\n")
    add(one.world.host.real(PATHS.state), OTHER, {"out": "built\n"})
    return one


def renew(one: Machine, *, keep_store: bool = False, config: Config | None = None) -> None:
    config = config or chosen()
    renewal = Renewal(config.settings, one.world, keep_store=keep_store)
    renewal.prepare()
    standstill.bring_down(config.settings, one.world)
    renewal.make(build(config, one.world), announce=lambda *_: None)


def has_built(one: Machine) -> bool:
    return one.world.nix.has(one.world.host.real(PATHS.state), OTHER)


@pytest.mark.parametrize("keep_store", [True, False])
def test_what_builds_have_left_goes_and_the_keys_stay(used: Machine, *, keep_store: bool) -> None:
    key = used.world.host.read(PATHS.host_key)

    renew(used, keep_store=keep_store)

    assert used.wrong() == ["service"]  # it is down: whoever calls starts it
    assert used.world.darling.files().read(PLANTED) is None
    assert has_built(used) is keep_store
    assert used.world.host.read(PATHS.host_key) == key


def test_without_network_it_fails_before_anything_is_gone(used: Machine) -> None:
    before = used.world.darling.boots
    for path in (used.world.host.root / "nix").iterdir():
        if path.name == "store":
            path.rename(path.with_name("lost"))
    used.world.host.remove(Path("/nix/var"))

    with pytest.raises(NixError):
        renew(used)

    assert used.world.darling.files().read(PLANTED) is not None
    assert has_built(used)
    assert used.world.darling.boots == before


@pytest.mark.parametrize("keep_store", [True, False])
def test_interrupted_at_any_moment_init_makes_a_builder_of_it(*, keep_store: bool) -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            going_on = one.interrupted(lambda one: renew(one, keep_store=keep_store), moment)
            one.init()
            assert one.wrong() == [], moment
            # Nothing is between: a prefix that has lost something is a new one.
            if one.world.darling.boots > 1:
                assert one.world.darling.files().read(PLANTED) is None, moment
        moment += 1
    assert moment > 20


def test_interrupted_at_any_moment_it_can_be_repeated() -> None:
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            use(one)
            going_on = one.interrupted(renew, moment)
            renew(one)
            assert one.wrong() == ["service"], moment
            assert not has_built(one), moment
        moment += 1


def test_an_ephemeral_builder_keeps_its_nix_where_no_guest_can_change_it(used: Machine) -> None:
    config = chosen(ephemeral="true")
    used.init(config)
    kept = Pristine(config.settings, used.world)
    brought = kept.kept()
    assert brought is not None
    # given: a guest that has changed its Nix, and a host that has lost it and its network
    nix = used.world.host.real(PATHS.nix) / "store" / Path(brought.nix).name / "bin/nix-store"
    nix.chmod(0o755)
    nix.write_text("evil\n")
    used.world.host.remove(Path("/nix"))

    renew(used, config=config)

    assert nix.read_text() != "evil\n"
    assert used.wrong(config) == ["service"]
    assert not has_built(used)


def test_what_is_kept_for_every_start_goes_with_the_setting(used: Machine) -> None:
    used.init(chosen(ephemeral="true"))
    assert used.world.host.attributes(PATHS.pristine)

    assert "nix" in used.wrong()
    used.init()

    assert used.world.host.attributes(PATHS.pristine) is None


def test_another_nix_is_kept_when_the_settings_ask_for_another(used: Machine) -> None:
    used.init(chosen(ephemeral="true"))
    before = Pristine(chosen(ephemeral="true").settings, used.world).kept()

    other = chosen(ephemeral="true", nix__version="2.19.3")
    used.init(other)

    after = Pristine(other.settings, used.world).kept()
    assert before is not None
    assert after is not None
    assert replace(before, nix="") == replace(after, nix="")
    assert before.nix != after.nix
