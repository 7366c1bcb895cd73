"""A difference between what is and what should be, and how it reads."""

import difflib
from dataclasses import dataclass

from darlingbuilder.core.plain import plain


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference: ``what`` names the thing, ``detail`` says how it differs; ``diff`` shows it, if text."""

    what: str
    detail: str
    diff: str = ""


def of_text(what: str, actual: str | None, wanted: str) -> list[Drift]:
    """Compare two texts; None is a file that is absent."""
    if actual == wanted:
        return []
    if actual is None:
        return [Drift(what, "absent")]
    lines = difflib.unified_diff(actual.splitlines(), wanted.splitlines(), "is", "should be", lineterm="", n=1)
    return [Drift(what, "differs", "\n".join(map(plain, lines)))]
