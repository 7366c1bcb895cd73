"""Which way the guest's Nix learns what is valid, found out in the guest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.paths import NIX_STORE_CONF
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.sharing.way import Way, Ways
from tests.fakes.darling import Answer
from tests.fakes.furnished import scratch
from tests.fakes.world import FakeWorld, fake_world
from tests.steps.sharing.two_stores import X


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a guest that is up and has a Nix."""
    with scratch() as place:
        made = fake_world(place).with_prefix()
        for tool in ("nix-daemon", "nix-store"):
            file = place / "var/lib/darling-builder/nix/store" / Path(X).name / "bin" / tool
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        profile_of(Settings(), made).select(X)
        with (place / "log").open("wb") as log:
            made.darling.boot(log)
        yield made


def answering(*lines: str, status: int | None) -> Answer:
    """Give what the guest prints, and then the word by which its shell tells how Nix ended, if it lives."""

    def answer(command: tuple[str, ...]) -> tuple[int, str]:
        word = command[command.index("way") + 1]
        told = [*lines, *([f"{word} {status}"] if status is not None else [])]
        return 0, "".join(f"{line}\n" for line in told)

    return answer


def choose(world: FakeWorld, wish: str, answer: Answer) -> Way:
    world.darling.answers["/usr/bin/env"] = answer
    return Ways(Settings(store="overlay", store_validity=wish), world).choose()  # type: ignore[arg-type]  # parametrised


def configured(world: FakeWorld) -> str:
    return (world.darling.files().read(NIX_STORE_CONF) or b"").decode()


@pytest.mark.parametrize("wish", ["auto", "local-overlay"])
def test_a_nix_that_can_ask_the_host_does(world: FakeWorld, wish: str) -> None:
    assert choose(world, wish, answering(status=0)) is Way.LOCAL_OVERLAY

    assert "store = local-overlay://?lower-store=unix%3A%2F%2F%2FVolumes%2FSystemRoot%2Fnix" in configured(world)
    assert "extra-experimental-features = local-overlay-store read-only-local-store" in configured(world)


@pytest.mark.parametrize(
    "answer",
    [
        answering("error: don't know how to open Nix store 'local-overlay'", status=1),
        answering("error: cannot connect to socket: Permission denied", status=1),
        # a killed command gives 0 in a Darling, and says nothing
        answering(status=None),
        answering(status=139),
    ],
)
def test_one_that_cannot_is_told_by_registration(world: FakeWorld, answer: Answer) -> None:
    assert choose(world, "auto", answer) is Way.REGISTRATION
    assert "store =" not in configured(world)


def test_a_way_that_was_asked_for_and_cannot_be_is_refused_with_the_reason(world: FakeWorld) -> None:
    with pytest.raises(PrerequisiteError, match="Permission denied") as caught:
        choose(world, "local-overlay", answering("error: Permission denied", status=1))
    assert "store_validity" in caught.value.hint


def test_who_wants_registration_is_not_asked(world: FakeWorld) -> None:
    def never(_command: tuple[str, ...]) -> tuple[int, str]:
        raise AssertionError("nobody was to be asked")

    assert choose(world, "registration", never) is Way.REGISTRATION


@pytest.mark.parametrize(("status", "way"), [(0, Way.LOCAL_OVERLAY), (1, Way.REGISTRATION)])
def test_what_a_start_has_chosen_is_read_without_asking_the_guest(world: FakeWorld, status: int, way: Way) -> None:
    assert choose(world, "auto", answering("no such store", status=status)) is way
    world.darling.answers.clear()
    assert Ways(Settings(store="overlay"), world).in_force() is way
