"""Corrections: which of them cure a defect, what the settings leave of them, and by which variables they act."""

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import corrections
from darlingbuilder.steps.corrections import DEFECTS, IPV4, SIGNALS, Defect

EVERY = frozenset(shim.CORRECTIONS)


def test_every_correction_is_for_a_defect_and_every_cure_is_a_correction() -> None:
    assert frozenset().union(*(corrections.curing(defect, Settings()) for defect in DEFECTS)) == EVERY


def test_without_corrections_nothing_is_preloaded() -> None:
    assert corrections.environment(frozenset()) == {}


def test_the_variables_name_the_shim_and_its_corrections() -> None:
    assert corrections.environment(frozenset({"lchflags", "getsockopt"})) == {
        "DYLD_INSERT_LIBRARIES": "/private/etc/darlingbuilder/compat.dylib",
        "DARLINGBUILDER_COMPAT": "getsockopt,lchflags",
    }


@pytest.mark.parametrize(
    ("settings", "first", "allowed"),
    [
        (Settings(), frozenset(), EVERY),
        (Settings(compat="always"), EVERY, EVERY),
        (Settings(compat="never"), frozenset(), frozenset()),
        (Settings(compat_builds=False), frozenset(), EVERY - {"spawn"}),
        (Settings(compat="always", compat_builds=False), EVERY - {"spawn"}, EVERY - {"spawn"}),
        (Settings(compat="never", compat_builds=False), frozenset(), frozenset()),
    ],
)
def test_the_settings_say_what_may_be_used(
    settings: Settings, first: frozenset[str], allowed: frozenset[str]
) -> None:
    assert corrections.at_first(settings) == first
    assert corrections.allowed(settings) == allowed
    assert all(corrections.curing(defect, settings) <= allowed for defect in DEFECTS)


def test_without_corrections_in_builds_sessions_still_get_their_cure() -> None:
    assert "signals" in corrections.curing(SIGNALS, Settings(compat_builds=False))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_that_is_not_cured_is_named_with_what_to_do(defect: Defect) -> None:
    never = corrections.uncured(defect, Settings(compat="never"))
    auto = corrections.uncured(defect, Settings())

    assert defect.meaning in str(never)
    assert 'compat = "auto"' in never.hint
    assert defect.meaning in str(auto)
    assert "report it" in auto.hint


def test_the_builder_can_do_without_the_cure_of_signals_alone() -> None:
    assert [defect for defect in DEFECTS if defect.bearable] == [SIGNALS]
    assert not IPV4.bearable
