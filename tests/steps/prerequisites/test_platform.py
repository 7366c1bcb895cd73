"""What the guest can run of nixpkgs, and the end of its platform."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.steps.prerequisites import platform
from darlingbuilder.steps.prerequisites.finding import Level
from tests.steps.prerequisites.machine import fit


@pytest.mark.parametrize(
    ("day", "level", "words"),
    [
        ("2026-04-30", Level.OK, "nixpkgs up to 25.05"),
        ("2026-05-01", Level.WARNING, "26.05 is the last with x86_64-darwin"),
        ("2026-12-31", Level.WARNING, "binaries until 2026-12-31"),
        ("2027-01-01", Level.WARNING, "that is over"),
    ],
)
def test_the_end_of_the_platform_is_announced(tmp_path: Path, day: str, level: Level, words: str) -> None:
    verdict = platform.nixpkgs(replace(fit(tmp_path), today=dt.date.fromisoformat(day)))

    assert verdict.level is level
    assert "macOS 11" in verdict.detail
    assert words in verdict.detail
    assert level is Level.OK or "25.05" in verdict.hint
