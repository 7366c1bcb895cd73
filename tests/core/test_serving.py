"""What serve says of itself, and what is read from it."""

import pytest

from darlingbuilder.core import serving


@pytest.mark.parametrize("corrections", [[], ["accept"], ["accept", "getsockopt", "spawn"]])
def test_what_was_told_can_be_read(corrections: list[str]) -> None:
    text = serving.told(2222, reversed(corrections), shared_by=None)

    assert serving.corrections(text) == corrections
    assert serving.place(text) == "serving on 127.0.0.1:2222"


@pytest.mark.parametrize("text", ["", "booting the container", "serving on 127.0.0.1:2222"])
def test_another_word_of_systemd_s_says_nothing_of_corrections(text: str) -> None:
    assert serving.corrections(text) is None
    assert serving.place(text) == text
