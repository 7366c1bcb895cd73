"""What a nix.conf and the files that it includes say, by the rules of Nix's own parser."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_ASSIGNMENT = 2


def said(text: str, *, file: Path, read: Callable[[Path], str | None]) -> Mapping[str, str]:
    """Give the settings of ``text``, which stands in ``file``, by name; of two the last counts.

    ``read`` gives the text of an included file, None where it is missing or unreadable.
    """
    return dict(_assignments(text, file, read, {file}))


def _assignments(
    text: str, file: Path, read: Callable[[Path], str | None], open_files: set[Path]
) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if len(words) == _ASSIGNMENT and words[0] in {"include", "!include"}:
            included = file.parent / words[1]
            if included not in open_files:
                yield from _assignments(read(included) or "", included, read, open_files | {included})
        elif len(words) >= _ASSIGNMENT and words[1] == "=":
            yield words[0], " ".join(words[2:])
