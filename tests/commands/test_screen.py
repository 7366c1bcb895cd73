"""Tables on a terminal: none of what they say is lost where it is narrow."""

import io

import pytest
from rich.console import Console

from darlingbuilder.commands import screen

FINGERPRINT = f"ssh-ed25519 SHA256:{'8c+ZwQjr5nkWA' * 3}"


def drawn(width: int, header: tuple[str, ...], *rows: tuple[str, ...]) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(screen.table(rows, header=header))
    return captured.get()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_long_cell_takes_no_column_away(width: int) -> None:
    lines = drawn(
        width, ("NAME", "SINCE", "KEY", "COMMENT"), ("ci", "2026-11-21 11:12:51", FINGERPRINT, "me@laptop")
    ).splitlines()

    assert lines[0].split() == ["NAME", "SINCE", "KEY", "COMMENT"]
    assert lines[1].startswith("ci    2026-11-21 11:12:51  ssh-ed25519")
    begin, end = lines[0].index("KEY"), lines[0].index("COMMENT")
    assert "".join(line[begin:end].strip() for line in lines[1:]).replace(" ", "") == FINGERPRINT.replace(" ", "")


def test_in_a_narrow_terminal_every_column_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    row = ("laptop.example.org", "2026-11-21 11:12:51", FINGERPRINT, "ci")

    shown = drawn(40, ("NAME", "SINCE", "KEY", "COMMENT"), row)

    begins = [shown.splitlines()[0].find(name) for name in ("NAME", "SINCE", "KEY")]
    assert begins == sorted(begins)
    assert -1 not in begins
    assert len("".join(shown.splitlines()[1:]).replace(" ", "")) == len("".join(row).replace(" ", ""))


def test_short_cells_stay_on_one_line() -> None:
    assert drawn(40, ("STATE", "SLOTS"), ("active (running)", "0/4")).splitlines() == [
        "STATE             SLOTS",
        "active (running)  0/4  ",
    ]
