"""What a user ought to know of the machine, though it is no difference that ``init`` would remove."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One remark: ``what`` names the thing, ``detail`` says what it means, ``hint`` what to do about it."""

    what: str
    detail: str
    hint: str
