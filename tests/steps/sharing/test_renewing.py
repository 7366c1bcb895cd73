"""The guest's database brought into line by ``gc`` beside ``serve``: neither undoes what the other has done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from darlingbuilder.adapters.identity import Answer
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.storepath import below, name_of
from darlingbuilder.steps.sharing.sharing import Sharing
from darlingbuilder.steps.sharing.way import Way
from tests.fakes.accounts import FakeAccounts
from tests.fakes.nix import add
from tests.fakes.world import FakeWorld
from tests.steps.sharing.test_sharing import SETTINGS, begun, known, roots, sharing_machine, state
from tests.steps.sharing.two_stores import A, B, D, X, Y


@dataclass
class Interleaved(FakeAccounts):
    """Has somebody else ``act`` at the ``moment``: before or after one of the things that are done in the guest."""

    act: Callable[[], None] = lambda: None
    moment: int = 0
    acted: bool = False

    def perform(
        self, account: Account, action: Callable[[], Answer], kind: type[Answer], *, seconds: float
    ) -> Answer:
        """See Accounts."""
        self._pass()
        answer = super().perform(account, action, kind, seconds=seconds)
        self._pass()
        return answer

    def _pass(self) -> None:
        if self.moment == 0:
            self.acted = True
            self.act()
        self.moment -= 1


@dataclass
class Moments:
    """A machine for every moment of a renewal, which ends when there are no more."""

    act: Callable[[FakeWorld, Sharing], None]
    before: Callable[[FakeWorld, Sharing], None] = lambda *_: None
    passed: int = field(default=0)

    def worlds(self) -> Iterator[FakeWorld]:
        """Give each machine after its renewal."""
        going_on = True
        while going_on:
            with sharing_machine() as world:
                serving = begun(world)
                self.before(world, serving)
                act = partial(self.act, world, serving)
                accounts = Interleaved(world.host, world.accounts.entries, act=act, moment=self.passed)
                Sharing(SETTINGS, replace(world, accounts=accounts)).renew(Way.REGISTRATION)
                serving.look()
                yield world
                going_on = accounts.acted
            self.passed += 1


def test_what_the_host_has_made_and_the_guest_has_built_on_meanwhile_stays() -> None:
    def act(world: FakeWorld, serving: Sharing) -> None:
        add(world.host.root, B, {"file": "new"})
        serving.look()
        add(state(world), D, {"file": "built"}, (B,))
        serving.look()

    for world in (moments := Moments(act)).worlds():
        assert below(state(world), D).exists() or not below(world.host.root, B).exists(), moments.passed
        assert known(world) in ({A, X}, {A, B, D, X}), moments.passed
        assert roots(world) == {name_of(path) for path in {B} & known(world)}, moments.passed
    assert moments.passed > 4


def test_what_is_needed_again_meanwhile_is_kept() -> None:
    def before(world: FakeWorld, serving: Sharing) -> None:
        add(state(world), Y, {"file": "built"}, (A,))
        serving.look()
        assert roots(world) == {name_of(A)}
        world.nix.forget(state(world), [Y])

    def act(world: FakeWorld, serving: Sharing) -> None:
        add(state(world), D, {"file": "built"}, (A,))
        serving.look()

    for world in (moments := Moments(act, before)).worlds():
        assert roots(world) == {name_of(path) for path in {A} if D in known(world)}, moments.passed


def test_what_the_host_deletes_meanwhile_is_known_no_more() -> None:
    def act(world: FakeWorld, serving: Sharing) -> None:
        world.nix.forget(world.host.root, [A])
        serving.look()

    def forgotten(world: FakeWorld, _serving: Sharing) -> None:
        # As a collection does, which takes the host's paths for garbage.
        world.nix.forget(state(world), [A])

    for before in (lambda *_: None, forgotten):
        for world in (moments := Moments(act, before)).worlds():
            there = {A} if below(world.host.root, A).exists() else set()
            assert known(world) == {X} | there, moments.passed


@pytest.mark.parametrize("way", Way)
def test_where_the_guest_asks_the_host_itself_nothing_is_registered_afterwards_either(way: Way) -> None:
    with sharing_machine() as world:
        begun(world, way)
        Sharing(SETTINGS, world).renew(way)
        assert known(world) == ({X} if way is Way.LOCAL_OVERLAY else {A, X})
