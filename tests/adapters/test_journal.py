"""The logins that the journal has of a guest's sshd."""

import json
import shutil
from pathlib import Path

import pytest

from darlingbuilder.adapters import journal
from darlingbuilder.adapters.journal import Admission
from tests.fakes.programs import write

UNIT = "darling-builder.service"
# As 8.1 of a stock Darling and 10.0 of Debian have logged them.
ACCEPTED = "Accepted publickey for darlingbuilder from {} port {} ssh2: {} SHA256:{}"


def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *messages: object) -> list[Admission]:
    """Give what is made of a journal with ``messages``."""
    lines = [
        json.dumps({"__REALTIME_TIMESTAMP": f"{number}500000", "MESSAGE": one}) for number, one in enumerate(messages)
    ]
    (tmp_path / "lines").write_text("\n".join([*lines, "no json", "{}"]))
    cat = shutil.which("cat")
    write(
        tmp_path / "bin" / "journalctl",
        f'case "$*" in *"--since=@1 _SYSTEMD_UNIT={UNIT} _UID=985") exec {cat} {tmp_path}/lines;; esac',
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return journal.admissions(UNIT, 985, since=1.5)


def test_logins_are_found_among_what_else_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(
        tmp_path,
        monkeypatch,
        "Server listening on 127.0.0.1 port 2222.",
        ACCEPTED.format("127.0.0.1", 51234, "ED25519", "abc+/1"),
        [255, 254],
        None,
        ACCEPTED.format("fd77::2", 51235, "RSA", "def"),
        "Accepted publickey for somebody",
    )

    assert found == [
        Admission(1.5, ("127.0.0.1", 51234), "SHA256:abc+/1"),
        Admission(4.5, ("fd77::2", 51235), "SHA256:def"),
    ]


def test_a_journal_of_nothing_knows_no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(tmp_path, monkeypatch) == []


def complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **lines: str) -> str | None:
    """Give the last error of a journal with ``lines``, those of root's and those of the guest's user."""
    words = "\n".join(f"{who}) printf '%b\\n' '{line}';;" for who, line in lines.items())
    write(
        tmp_path / "bin" / "journalctl",
        f'case "$*" in *" _UID=0") who=root;; *) who=guest;; esac\ncase $who in\n{words}\nesac',
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return journal.last_error(UNIT, "0123")


def test_the_last_error_is_one_of_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"root": "other\\ndarlingbuilder: no container\\n  try", "guest": "darlingbuilder: send your keys to me"}
    assert complaint(tmp_path, monkeypatch, **said) == "no container"


def test_the_last_error_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint(tmp_path, monkeypatch, root="darlingbuilder: it said \\033[2J") == "it said \ufffd[2J"


def test_without_an_error_of_ours_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint(tmp_path, monkeypatch, guest="darlingbuilder: send your keys to me") is None


def test_without_a_journal_no_login_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert journal.admissions(UNIT, 985, since=0) == []
