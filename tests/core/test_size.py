"""A number of bytes as a person reads it."""

import pytest

from darlingbuilder.core import size


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**30 - 1, "1.0 GiB"),
        (490 * 2**20, "490.0 MiB"),
        (2**60, "1024.0 PiB"),
    ],
)
def test_a_size_has_the_unit_that_suits_it(count: int, told: str) -> None:
    assert size.told(count) == told
