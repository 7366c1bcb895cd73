"""How views are shown: as tables on a terminal, as plain lines elsewhere, once or refreshed in place."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from darlingbuilder.commands.context import say

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"ok": "green", "drift": "yellow", "error": "red", "note": "cyan", "up": "green", "down": "red"}
# A date and a time.
_SHORT = 19
# So narrow that even short cells may not all find room.
_NARROW = 60
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether somebody looks at what goes to ``stream``, without one at what is printed."""
    return (stream or sys.stdout).isatty()


def span(seconds: float) -> str:
    """Give a length of time as one says it: «12 s», «3 min», «5 h»."""
    for length, name in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def ago(moment: float) -> str:
    """Say how long ago ``moment``, seconds of the epoch, was, and when."""
    return f"{span(time.time() - moment)} ago ({date(moment)})"


def date(moment: float) -> str:
    """Give ``moment``, seconds of the epoch, as date and time here."""
    return time.strftime("%F %T", time.localtime(moment))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give the lines of a table in plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def table(rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> "RenderableType":
    """Give a table for a terminal; a cell that says how something is gets its colour. No cell is markup.

    Without a header, the last column alone may need more lines than one; with one, every column of long cells: else
    rich would take whole columns away from a table that is too wide.
    """
    from rich.table import Table  # noqa: PLC0415 - 60 ms that no other verb has to spend
    from rich.text import Text  # noqa: PLC0415 - as above

    cells = list(rows)
    is_narrow = shutil.get_terminal_size().columns < _NARROW
    names = header or tuple("" for _ in cells[:1] for _ in cells[0])
    drawn = Table(box=None, show_header=bool(header), header_style="bold", pad_edge=False)
    for number, name in enumerate(names):
        style = None if number or header else "bold"
        longest = max((len(row[number]) for row in cells), default=0)
        kept = longest <= _SHORT and not is_narrow if header else number < len(names) - 1
        drawn.add_column(name, style=style, no_wrap=kept, overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return drawn


def above(*parts: "RenderableType") -> "RenderableType":
    """Put tables one above the other."""
    from rich.console import Group  # noqa: PLC0415 - as above

    return Group(*parts)


def draw(*parts: "RenderableType") -> None:
    """Print tables on the terminal."""
    from rich.console import Console  # noqa: PLC0415 - as above

    Console().print(*parts, sep="\n")


def refresh(paint: Callable[[], "RenderableType"], *, seconds: float) -> None:
    """Show on the terminal what ``paint`` gives, in place, every ``seconds``, until Ctrl-C."""
    from rich.live import Live  # noqa: PLC0415 - as above

    with Live(paint(), auto_refresh=False, vertical_overflow="crop") as live:
        repeat(lambda: live.update(paint(), refresh=True), seconds=seconds, first=False)


def repeat(act: Callable[[], None], *, seconds: float, first: bool = True) -> None:
    """Do ``act`` every ``seconds``, until Ctrl-C, which is how one ends what goes on for ever."""
    try:
        if first:
            act()
        while True:
            time.sleep(seconds)
            act()
    except KeyboardInterrupt:
        say("")
