"""Garbage collection by the guest's Nix, which a fake ssh reaches."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from darlingbuilder.adapters.process import Completed
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.garbage import Freed, Garbage
from tests.fakes.furnished import scratch
from tests.fakes.nix import add
from tests.fakes.world import FakeWorld, fake_world
from tests.steps.sharing.two_stores import A, B, C, X

FREED = "3 store paths deleted, 1.50 MiB freed\n"
Answer = Callable[[list[str]], tuple[int, str, str]]


@dataclass
class Guest:
    """A guest in which nix-store answers; ``asked`` holds its arguments."""

    answer: Answer
    asked: list[list[str]] = field(default_factory=list)

    def run(self, *command: str, timeout: float) -> Completed:
        """See Client. The words are joined, and parsed by a shell."""
        del timeout
        words = shlex.split(" ".join(command))
        assert words[0] == "nix-store"
        self.asked.append(words[1:])
        code, out, err = self.answer(words[1:])
        return Completed(tuple(words), code, out, err)


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with scratch() as place:
        yield fake_world(place).with_user()


def garbage(world: FakeWorld, guest: Guest, **settings: str) -> Garbage:
    return Garbage(Settings(**settings), world, guest)  # type: ignore[arg-type]  # a client as far as it is used


@pytest.mark.parametrize(("store", "view"), [("copy", []), ("overlay", ["--store"])])
def test_what_nix_says_is_given(world: FakeWorld, store: str, view: list[str]) -> None:
    guest = Guest(lambda _words: (0, FREED, ""))

    assert garbage(world, guest, store=store).collect() == Freed(3, 1_572_864)

    assert guest.asked[0][: len(view)] == view
    assert guest.asked[0][-1] == "--gc"


def test_an_overlay_is_collected_where_only_the_guest_s_own_paths_are(world: FakeWorld) -> None:
    guest = Guest(lambda _words: (0, FREED, ""))
    garbage(world, guest, store="overlay").collect(free=1024)
    assert guest.asked == [["--store", "local?root=/private/etc/darlingbuilder/own", "--gc", "--max-freed", "1024"]]


def test_only_what_is_old_enough_is_deleted_the_referrers_first(world: FakeWorld) -> None:
    state = world.host.root / "var/lib/darling-builder"
    for path, needed in ((A, ()), (B, (A,)), (X, ())):
        add(state, path, {"file": path}, needed)
    told = {"--print-dead": f"finding roots\n{A}\n{B}\n"}
    guest = Guest(lambda words: (0, told.get(words[-1], FREED), ""))

    young = garbage(world, guest).collect(max_age=3600)
    old = garbage(world, guest).collect(max_age=-60)

    assert young == Freed()
    assert old == Freed(3, 1_572_864)
    assert guest.asked[-1] == ["--delete", B, A]


def test_a_path_that_is_needed_by_now_is_no_error(world: FakeWorld) -> None:
    add(world.host.root / "var/lib/darling-builder", C, {"file": "x"})

    def answer(words: list[str]) -> tuple[int, str, str]:
        return (0, f"{C}\n", "") if words[-1] == "--print-dead" else (1, "", f"error: path '{C}' is still alive")

    assert garbage(world, Guest(answer)).collect(max_age=-60) == Freed()


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (255, "Connection refused", "cannot be reached: Connection refused"),
        (1, "disk is full", "gave 1 .*disk is full"),
    ],
)
def test_what_goes_wrong_is_said_with_a_remedy(world: FakeWorld, code: int, said: str, told: str) -> None:
    with pytest.raises(DarlingError, match=told) as caught:
        garbage(world, Guest(lambda _words: (code, "", f"{said}\n"))).collect()
    assert "darlingbuilder" in caught.value.hint


def test_sizes_of_every_unit_are_understood(world: FakeWorld) -> None:
    for words, size in (("10.00 KiB", 10240), ("2.00 GiB", 2**31), ("7 B", 7), ("0.00 MiB", 0)):
        guest = Guest(lambda _words, words=words: (0, f"1 store paths deleted, {words} freed", ""))  # type: ignore[misc]
        assert garbage(world, guest).collect().bytes == size
