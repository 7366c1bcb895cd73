"""What a nix.conf and the files that it includes say, and in which of them, by the rules of Nix's own parser.

It takes ``extra-X`` only for settings that are lists; ``builders`` is a string (libutil/configuration.cc).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_ASSIGNMENT = 2

Read = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True)
class Saying:
    """The value of a setting, and the file that says so."""

    value: str
    file: Path


def said(text: str, *, file: Path, read: Read) -> Mapping[str, str]:
    """Give the settings of ``text``, which stands in ``file``, by name; of two the last counts.

    ``read`` gives the text of an included file, None where it is missing or unreadable.
    """
    return {name: saying.value for name, saying in sayings(text, file=file, read=read).items()}


def sayings(text: str, *, file: Path, read: Read) -> Mapping[str, Saying]:
    """Like ``said``, with the file that each setting is said in."""
    return dict(_assignments(text, file, read, {file}))


def behind(text: str, included: Path, *, file: Path) -> str | None:
    """Give what ``text``, which stands in ``file``, says after it has included ``included``; None if it does not."""
    lines = text.split("\n")
    places = [number for number, line in enumerate(lines) if _include(_words(line), file) == included]
    return "\n".join(lines[places[-1] + 1 :]) if places else None


def _assignments(text: str, file: Path, read: Read, open_files: set[Path]) -> Iterator[tuple[str, Saying]]:
    for line in text.split("\n"):
        words = _words(line)
        if included := _include(words, file):
            if included not in open_files:
                yield from _assignments(read(included) or "", included, read, open_files | {included})
        elif len(words) >= _ASSIGNMENT and words[1] == "=":
            yield words[0], Saying(" ".join(words[2:]), file)


def _words(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _include(words: list[str], file: Path) -> Path | None:
    is_one = len(words) == _ASSIGNMENT and words[0] in {"include", "!include"}
    return file.parent / words[1] if is_one else None
