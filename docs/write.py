"""Writes the documents that follow from the program itself: ``python -m docs.write``."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from darlingbuilder.core import compatibility, errors
from darlingbuilder.core.compatibility import DarlingRow, End, NixpkgsRow, NixRow
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.steps.layers import UnmetError
from darlingbuilder.steps.prerequisites.scratch import UnseenError
from docs.raised import GAP, raised

DOCS = Path(__file__).parent
_WRITTEN = "<!-- Written by «python -m docs.write»; what to change is in the program. -->"


_MESSAGES = """\
# Every error message

The program prints each as `darlingbuilder: MESSAGE`, and below it what to do. «…» stands for what is known only then.
[Troubleshooting](troubleshooting.md) goes by symptom."""
_KNOWN = """\
# What is known to work together

From `darlingbuilder/core/compatibility.toml`, which the program itself goes by. *Run*: done and seen with a real
Darling; *source*: read in the source, or in what the project publishes; *reported*: somebody says so. Nothing is
refused by its number: a new Nix is tried in the guest before it goes live."""


def messages() -> str:
    """Give the page of all error messages."""
    kinds = {kind.__name__: kind for kind in (*vars(errors).values(), UnmetError, UnseenError) if _is_kind(kind)}
    parts = [_MESSAGES]
    for name, found in groupby(raised(), key=lambda error: error.kind):
        rows = [(_code(error.message), error.remedy) for error in found if error.message.strip(f"{GAP}: ")]
        kind = kinds[name]
        parts += [f"## {name}: exit {int(kind.exit_code)}", _first_line(kind), _table(("says", "do"), rows)]
    return _page(parts)


def known() -> str:
    """Give the page of what is known to work together."""
    table = compatibility.table()
    return _page(
        (
            _KNOWN,
            "## Darling",
            _table(
                ("version", "passes for macOS", *_TOLD),
                [(row.version, str(row.macos), *_told(row)) for row in table.darling],
            ),
            f"## Nix in the guest\n\nWithout a word about Nix, {table.default_nix} is taken.",
            _table(("version", "in the guest", "with Darling", "store path", *_TOLD), map(_nix, table.nix)),
            "## nixpkgs\n\nThe macOS that a release, and every one after it, is made for at least.",
            _table(
                ("from release", "macOS", *_TOLD),
                [(row.release, str(row.macos), *_told(row)) for row in table.nixpkgs],
            ),
            _end(table.end),
        )
    )


PAGES: Mapping[str, Callable[[], str]] = {"messages.md": messages, "compatibility.md": known}


_TOLD = ("known by", "from")


def _told(row: DarlingRow | NixRow | NixpkgsRow) -> tuple[str, str]:
    return row.evidence.value, row.source


def _nix(row: NixRow) -> Sequence[str]:
    outcome = f"{row.outcome.value}: {row.detail}" if row.detail else row.outcome.value
    return row.version, outcome, row.darling, _code(row.path) if row.path else "", *_told(row)


def _end(end: End) -> str:
    return (
        f"x86_64-darwin ends with nixpkgs {end.nixpkgs}, whose binaries are kept until {end.binaries}.\n"
        f"Nix itself is published for it up to {end.nix}."
    )


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BuilderError)


def _first_line(kind: type[BuilderError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join((_WRITTEN, *parts)) + "\n"


def _code(text: str) -> str:
    return f"``{text}``" if "`" in text else f"`{text}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(f"usage: python -m docs.write (it writes {', '.join(PAGES)})")
    for name, write in PAGES.items():
        (DOCS / name).write_text(write())
