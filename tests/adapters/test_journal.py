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


def test_without_a_journal_no_login_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert journal.admissions(UNIT, 985, since=0) == []
