"""The place for the probes' prefixes: where it is made, and that it is gone afterwards."""

import contextlib
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import scratch
from darlingbuilder.steps.prerequisites.finding import Surroundings
from darlingbuilder.steps.prerequisites.scratch import Scratch, UnseenError
from tests.steps.prerequisites.machine import around, fit_world


def surroundings(tmp_path: Path, settings: Settings | None = None) -> Surroundings:
    chosen = settings or Settings()
    return around(fit_world(tmp_path, chosen).with_user(chosen.user), chosen)


def test_its_prefixes_have_paths_that_are_short_enough(tmp_path: Path) -> None:
    deep = f"/srv/{'d' * 30}/{'e' * 30}/state"
    machine = surroundings(tmp_path, Settings(state=deep))
    machine.world.host.make_directory(Path(deep))

    with scratch.made(machine) as place:
        assert len(str(place.directory / "guest" / scratch.FIRST)) <= 78
        assert place.directory.parent == Path(f"/srv/{'d' * 30}")


def test_guest_and_keys_are_for_their_owners_alone(tmp_path: Path) -> None:
    machine = surroundings(tmp_path)

    with scratch.made(machine) as place:
        guest = machine.world.host.attributes(place.directory / "guest")
        keys = machine.world.host.attributes(place.directory / "keys")
    assert guest is not None
    assert keys is not None
    assert (guest.owner, guest.mode, keys.mode) == (place.account.owner, 0o700, 0o700)


def test_limits_are_as_before_afterwards_and_the_directory_is_gone(tmp_path: Path) -> None:
    before = [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)]
    machine = surroundings(tmp_path)

    with contextlib.suppress(ZeroDivisionError), scratch.made(machine):
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == Settings().nofile
        raise ZeroDivisionError

    assert [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)] == before
    assert machine.world.host.names(Path("/var/lib")) == []


def test_what_was_seen_once_is_not_looked_at_again(tmp_path: Path) -> None:
    looks = []

    def observe(_place: Scratch) -> int:
        looks.append(1)
        raise UnseenError("dark", hint="make light")

    with scratch.made(surroundings(tmp_path)) as place:
        for _ in range(2):
            with pytest.raises(UnseenError, match="dark"):
                place.once(observe)
    assert looks == [1]


def test_when_the_time_is_up_nothing_more_is_looked_at(tmp_path: Path) -> None:
    with scratch.made(surroundings(tmp_path)) as place:
        assert place.left(5) == 5
        with pytest.raises(UnseenError, match="have passed"):
            replace(place, deadline=0.0).left(5)


def test_what_is_shown_fits_on_a_line() -> None:
    assert scratch.shown("one\n\n  two\n") == "one / two"
    assert scratch.shown("\x1b[31m\x00") == "\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}"
    assert len(scratch.shown("x" * 10**6)) < 130


@pytest.mark.parametrize(
    ("code", "says"), [(TIMED_OUT, "no end within 3.0 s"), (-9, "ended by signal KILL"), (139, "status 139")]
)
def test_an_outcome_says_how_it_ended(code: int, says: str) -> None:
    assert scratch.outcome(Completed(("x",), code, "", ""), 3.0).startswith(says)
