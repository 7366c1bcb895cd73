"""What is said, how it reads, and what is kept quiet."""

from collections.abc import Iterator

import pytest

from darlingbuilder.core import log

LEVELS = {"debug": log.debug, "info": log.info, "warning": log.warning, "error": log.error}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Say as much as usual, before and afterwards."""
    log.configure(verbose=False, quiet=False)
    yield
    log.configure(verbose=False, quiet=False)


@pytest.mark.parametrize(
    ("verbose", "quiet", "said"),
    [
        (False, False, ["info", "warning", "error"]),
        (True, False, ["debug", "info", "warning", "error"]),
        (False, True, ["warning", "error"]),
        (True, True, ["debug", "info", "warning", "error"]),
    ],
)
def test_flags_choose_how_much_is_said(
    capsys: pytest.CaptureFixture[str], *, verbose: bool, quiet: bool, said: list[str]
) -> None:
    log.configure(verbose=verbose, quiet=quiet)
    for name, say in LEVELS.items():
        say(name)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split()[-1] for line in printed.err.splitlines()] == said


def test_an_event_is_a_line_with_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("applying", step="user", port=2222, path=None)
    assert capsys.readouterr().err == "applying step=user port=2222 path=None\n"


def test_a_value_with_blanks_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("applying", why="is not there", nothing="")
    assert capsys.readouterr().err == "applying why='is not there' nothing=''\n"


@pytest.mark.parametrize("level", ["debug", "warning", "error"])
def test_what_is_not_ordinary_says_so(capsys: pytest.CaptureFixture[str], level: str) -> None:
    log.configure(verbose=True, quiet=False)
    LEVELS[level]("builds cut off", connections=1)
    assert capsys.readouterr().err == f"{level}: builds cut off connections=1\n"


def test_a_value_of_several_lines_stays_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    log.error("failed", said="one\ntwo", other="a\tb")
    assert len(capsys.readouterr().err.splitlines()) == 1
