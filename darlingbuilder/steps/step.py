"""What every part of a builder can do: say how it differs, converge, and be withdrawn."""

from typing import Protocol

from darlingbuilder.core.drift import Drift


class Step(Protocol):
    """One part of a builder."""

    @property
    def name(self) -> str:
        """The step's name: one lower-case word."""

    def check(self) -> list[Drift]:
        """List how this part differs from what it should be. Only reads; on an empty machine all is «absent»."""

    def apply(self) -> None:
        """Remove every difference that ``check`` names. Raises BuilderError where that cannot be done."""

    def revert(self) -> None:
        """Remove what ``apply`` made. Succeeds if it is already gone; nothing foreign is touched."""
