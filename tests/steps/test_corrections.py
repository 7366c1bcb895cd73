"""Corrections: which variables put them in force, and when a cure does not help."""

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.steps import corrections
from darlingbuilder.steps.corrections import IPV4, LINKS, SIGNALS, STRAY_LINES

DEFECTS = (IPV4, STRAY_LINES, LINKS, SIGNALS)


def test_every_cure_is_a_correction_of_the_shim() -> None:
    assert frozenset().union(*(defect.cures for defect in DEFECTS)) <= set(shim.CORRECTIONS)


def test_without_corrections_nothing_is_preloaded() -> None:
    assert corrections.environment(frozenset(), builds=True) == {}


def test_the_variables_name_the_shim_and_its_corrections() -> None:
    variables = corrections.environment(frozenset({"lchflags", "getsockopt"}), builds=True)
    assert variables["DYLD_INSERT_LIBRARIES"] == "/private/etc/darlingbuilder/compat.dylib"
    assert variables["DARLINGBUILDER_COMPAT"] == "getsockopt,lchflags"


def test_builds_can_be_left_as_they_are() -> None:
    variables = corrections.environment(frozenset({"lchflags", "spawn"}), builds=False)
    assert variables["DARLINGBUILDER_COMPAT"] == "lchflags"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_cure_that_is_in_force_and_does_not_help_is_an_error(defect: corrections.Defect) -> None:
    once = corrections.cured(frozenset(), defect)
    assert defect.cures < once
    with pytest.raises(DarlingError, match="is not cured") as caught:
        corrections.cured(once, defect)
    assert caught.value.hint


def test_without_corrections_a_defect_is_named_with_its_remedy() -> None:
    with pytest.raises(DarlingError, match="compat is never: every connection") as caught:
        corrections.refuse(IPV4)
    assert 'compat = "auto"' in caught.value.hint
