"""The third verdict beside passed and failed: a defect that FACTS.md states and this Darling has mended."""

from typing import Protocol

# The user property of a test report by which the summary finds it.
MENDED = "mended"


class Defect(Protocol):
    """Judges an observation of which FACTS.md states a defect."""

    def __call__(self, observed: object, *, stated: object, mended: object) -> None:
        """Pass if it is as stated, pass as «mended» if it is as it ought to be, else fail: it is worse."""
