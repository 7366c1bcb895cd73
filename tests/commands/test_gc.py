"""``gc`` as one calls it."""

from argparse import Namespace

import pytest

from darlingbuilder.commands import gc
from darlingbuilder.core.errors import BuilderError, ConfigError, UsageError
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen


def arguments(max_age: str | None = None, free: str | None = None) -> Namespace:
    return Namespace(max_age=max_age, free=free, json=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_age": "30"}, "--max-age 30: no age"),
        ({"max_age": "-1d"}, "no age"),
        ({"max_age": "1y"}, "no age"),
        ({"free": "10GB"}, "--free 10GB: no size"),
        ({"free": ""}, "no size"),
    ],
)
def test_a_word_that_means_nothing_is_refused_before_anything_is_done(given: dict[str, str], told: str) -> None:
    with machine() as world, pytest.raises(UsageError, match=told) as caught:
        gc.run(called(make(world)), arguments(**given))
    assert "as in" in caught.value.hint


def test_where_builds_are_off_there_is_nothing_to_collect() -> None:
    config = chosen(store="symlink")
    with machine() as world, pytest.raises(ConfigError, match=r"nothing to collect.*has no Nix of its own") as caught:
        gc.run(called(make(world, config), config), arguments())
    assert '"overlay" or "copy"' in caught.value.hint


def test_without_a_builder_there_is_no_garbage() -> None:
    with machine() as world, pytest.raises(BuilderError, match="there is no builder"):
        gc.run(called(world), arguments())
