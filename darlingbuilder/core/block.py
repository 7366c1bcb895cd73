r"""Our lines inside a file that belongs to somebody else, put in and taken out to the byte.

The block is the file's end. Its first line records what else was changed, so that ``without`` gives back
exactly what ``with_block`` was given: whether the file existed, and whether its last line had a newline.
"""

import enum
import re

_BEGIN = "# BEGIN darlingbuilder"
_END = "# END darlingbuilder"


class _Before(enum.Enum):
    LINES = ""
    NO_NEWLINE = " (no newline before)"
    NO_FILE = " (no file before)"


_BLOCK = re.compile(
    rf"(?P<newline>\n?)^{_BEGIN}(?P<before>[^\n]*)\n(?P<lines>.*?)^{_END}\n", re.DOTALL | re.MULTILINE
)


def with_block(text: str | None, lines: str) -> str:
    """Give ``text`` (None: no file) with our block holding ``lines``; one that it has already is replaced."""
    original = without(text)
    if original is None:
        before, start = _Before.NO_FILE, ""
    elif original and not original.endswith("\n"):
        before, start = _Before.NO_NEWLINE, f"{original}\n"
    else:
        before, start = _Before.LINES, original
    return f"{start}{_BEGIN}{before.value}\n{lines}{_END}\n"


def without(text: str | None) -> str | None:
    """Give ``text`` as it was before our block; None if there was no file."""
    if text is None or not (found := _BLOCK.search(text)):
        return text
    head = text[: found.start()]
    if found["before"] != _Before.NO_NEWLINE.value:
        head += found["newline"]
    rest = head + text[found.end() :]
    return None if not rest and found["before"] == _Before.NO_FILE.value else rest


def lines_of(text: str | None) -> str | None:
    """Give the lines inside our block; None if there is none."""
    found = _BLOCK.search(text or "")
    return found["lines"] if found else None
