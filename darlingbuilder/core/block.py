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


# From the last beginning before the end, so that a beginning of somebody else's stays somebody else's. The newline of
# the last line may have got lost in an editor.
_BLOCK = re.compile(
    rf"(?P<newline>\n?)^{_BEGIN}(?P<before>{'|'.join(re.escape(before.value) for before in _Before)})\n"
    rf"(?P<lines>(?:(?!{_BEGIN}).*\n)*?)^{_END}(?:\n|\Z)",
    re.MULTILINE,
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
    head, tail = text[: found.start()], text[found.end() :]
    # Lines that somebody has put behind the block since then need the newline.
    if tail or found["before"] != _Before.NO_NEWLINE.value:
        head += found["newline"]
    return None if not head + tail and found["before"] == _Before.NO_FILE.value else head + tail


def lines_of(text: str | None) -> str | None:
    """Give the lines inside our block; None if there is none."""
    found = _BLOCK.search(text or "")
    return found["lines"] if found else None
