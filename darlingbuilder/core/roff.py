"""Text that roff prints as it is, and the paragraphs that the manual pages are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A paragraph of a page: ``term`` is what it explains; both are roff."""

    term: str
    text: str


def roff(text: str) -> str:
    """Give ``text`` so that roff prints it as it is: no request, no escape, hyphens that can be pasted, ASCII."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    ascii_only = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in plain)
    # A line that begins with a dot would be a request.
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in ascii_only.splitlines())


def sentence(text: str) -> str:
    """Give ``text``, as the tables of the program have it, as a sentence."""
    ended = text if text.endswith((".", "]")) else f"{text}."
    return ended[:1].upper() + ended[1:]
