"""Doctor's look at the other builders of a host."""

from darlingbuilder.steps.prerequisites.apart import apart
from darlingbuilder.steps.prerequisites.finding import Level, Surroundings
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen


def test_a_builder_alone_is_right_and_one_beside_it_is_named() -> None:
    with machine() as world:
        assert apart(Surroundings(chosen().settings, world)).detail == "there is no other builder"
        make(world)
        verdict = apart(Surroundings(chosen(instance="second").settings, world))
        assert (verdict.level, verdict.detail) == (Level.OK, "apart from default")


def test_what_another_has_must_be_chosen_otherwise() -> None:
    with machine() as world:
        make(world)
        verdict = apart(Surroundings(chosen(instance="second", port="2222").settings, world))
        assert (verdict.level, verdict.hint) == (Level.FAILURE, "choose another: port = 2223")
