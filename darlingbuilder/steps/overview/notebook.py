"""How a collector asks: what it cannot find out becomes part of the answer, never its end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from darlingbuilder.core.errors import BuilderError

AnswerT = TypeVar("AnswerT")
_UNREADABLE = "look at it as root; «darlingbuilder doctor» says what the machine lacks"


class Trouble(msgspec.Struct, frozen=True):
    """Why a ``part`` of the answer is not known, and what to do about it."""

    part: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Notebook:
    """What was asked in vain."""

    troubles: list[Trouble] = field(default_factory=list)

    def ask(self, part: str, question: Callable[[], AnswerT]) -> AnswerT | None:
        """Give the answer to ``question``; None, and a note of why, where there is none."""
        try:
            return question()
        except BuilderError as error:
            self.troubles.append(Trouble(part, str(error), error.hint))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            self.troubles.append(Trouble(part, f"{where}{error.strerror or error}", _UNREADABLE))
        return None
