"""What is said, how it reads, and what is kept quiet."""

from collections.abc import Iterator, Mapping
from pathlib import Path

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


def stream_of(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}"


def test_in_the_journal_an_event_keeps_its_keys_and_its_priority(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[Mapping[str, str]] = []
    log.configure(verbose=False, quiet=False, send=sent.append)

    log.warning("builds cut off", connections=2, why="no\ntime")
    log.debug("running", command="true")

    assert sent == [
        {
            "MESSAGE": "builds cut off connections=2 why='no\\ntime'",
            "PRIORITY": "4",
            "DARLINGBUILDER_CONNECTIONS": "2",
            "DARLINGBUILDER_WHY": "no\ntime",
        }
    ]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("level", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3")])
def test_the_priority_is_syslogs(level: str, priority: str) -> None:
    sent: list[Mapping[str, str]] = []
    log.configure(verbose=True, quiet=False, send=sent.append)
    LEVELS[level]("said")
    assert sent == [{"MESSAGE": "said", "PRIORITY": priority}]


def test_stderr_is_the_journal_only_if_systemd_says_so_of_this_very_file(tmp_path: Path) -> None:
    pytest.importorskip("pystemd")
    with (tmp_path / "journal").open("w") as stream:
        ours = stream_of(tmp_path / "journal")
        assert log.journal({"JOURNAL_STREAM": ours}, stream) is not None
        # A service's child whose stderr was redirected inherits the variable.
        assert log.journal({"JOURNAL_STREAM": stream_of(tmp_path)}, stream) is None
        assert log.journal({"JOURNAL_STREAM": "garbage"}, stream) is None
        assert log.journal({}, stream) is None
    assert log.journal({"JOURNAL_STREAM": ours}, stream) is None  # closed


def test_a_failure_is_an_error_line_by_line_in_the_journal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    log.complain("alas\n  do this")
    assert capsys.readouterr().err == "alas\n  do this\n"

    log.configure(verbose=False, quiet=False, send=lambda _fields: None)
    log.complain("alas\n  do this")
    assert capsys.readouterr().err == "<3>alas\n<3>  do this\n"
