"""A difference, and how it reads."""

import pytest

from darlingbuilder.core import drift
from darlingbuilder.core.drift import Drift


@pytest.mark.parametrize("text", ["", "a\n", "a", "a\nb\n"])
def test_what_is_as_it_should_be_is_no_drift(text: str) -> None:
    assert drift.of_text("f", text, text) == []


def test_a_file_that_is_not_there_is_absent() -> None:
    assert drift.of_text("f", None, "") == [Drift("f", "absent")]


def test_a_difference_shows_its_lines_with_their_surroundings() -> None:
    lines = [f"{number}\n" for number in range(9)]
    [found] = drift.of_text("f", "".join(lines), "".join([*lines[:4], "four\n", *lines[5:]]))

    assert (found.what, found.detail) == ("f", "differs")
    assert found.diff.splitlines() == ["--- is", "+++ should be", "@@ -4,3 +4,3 @@", " 3", "-4", "+four", " 5"]


def test_a_newline_that_is_missing_is_a_difference() -> None:
    [found] = drift.of_text("f", "a", "a\n")
    assert found.detail == "differs"
