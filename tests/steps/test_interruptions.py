"""Whatever moment Ctrl-C or a signal comes at, the next ``init`` or ``uninstall`` goes on from there."""

from collections.abc import Callable, Iterator

from tests.fakes.furnished import chosen
from tests.fakes.history import Machine, machine

CHANGED = chosen(port="2022", max_jobs="2", nix__version="2.19.3")


def every_moment(act: Callable[[Machine], None], *, made: bool) -> Iterator[tuple[str, Machine]]:
    """Give, for each moment of ``act``, a machine on which it was interrupted; with ``made`` it has a builder."""
    moment, going_on = 0, True
    while going_on:
        with machine() as one:
            if made:
                one.init()
            going_on = one.interrupted(act, moment)
            if going_on:
                yield f"interrupted at {moment}", one
        moment += 1


def test_a_first_init_can_be_interrupted_at_every_moment() -> None:
    moments = set()
    for when, one in every_moment(Machine.init, made=False):
        one.init()
        assert one.wrong() == [], when
        moments.add(when)
    assert len(moments) > 50


def test_what_an_interrupted_init_has_made_can_be_withdrawn() -> None:
    for when, one in every_moment(Machine.init, made=False):
        one.uninstall()
        assert one.is_as_before(), when


def test_a_change_of_the_settings_can_be_interrupted_at_every_moment() -> None:
    for when, one in every_moment(lambda one: one.init(CHANGED), made=True):
        one.init(CHANGED)
        assert one.wrong(CHANGED) == [], when


def test_an_interrupted_change_of_the_settings_can_be_taken_back() -> None:
    for when, one in every_moment(lambda one: one.init(CHANGED), made=True):
        one.init()
        assert one.wrong() == [], when


def test_an_uninstall_can_be_interrupted_at_every_moment() -> None:
    for when, one in every_moment(Machine.uninstall, made=True):
        one.uninstall()
        assert one.is_as_before(), when


def test_after_an_interrupted_uninstall_a_builder_can_be_made() -> None:
    for when, one in every_moment(Machine.uninstall, made=True):
        one.init()
        assert one.wrong() == [], when
