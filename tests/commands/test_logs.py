"""``logs``: whose lines, which, and in which form; journalctl itself does the rest."""

import shlex
from pathlib import Path

import pytest

from darlingbuilder.core.errors import ExitCode
from tests.fakes.programs import OWN_PATH, write
from tests.test_program import start

NIX = "--unit nix-daemon.service --unit nix-daemon@*.service"
SAY = """case $* in
*nonsense*) echo "Failed to parse timestamp: nonsense" >&2; exit 1;;
*--lines=0*) ;;
*) echo "$(basename "$0")" "$@";;
esac"""


def logs(tmp_path: Path, *words: str) -> tuple[int, list[str], str]:
    """Run ``logs`` with programs that say how they were called."""
    for name in ("journalctl", "nix-store"):
        write(tmp_path / "bin" / name, SAY)
    with start("logs", *words, variables={"PATH": f"{tmp_path / 'bin'}:{OWN_PATH}"}) as started:
        out, err = started.communicate(timeout=60)
    return started.returncode, shlex.split(out), err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "journalctl --no-pager --no-hostname --unit darling-builder.service"),
        ("-f", "journalctl --follow --no-hostname --unit darling-builder.service"),
        ("own", "journalctl --no-pager --no-hostname --unit darling-builder.service _UID=0"),
        ("nix --json", f"journalctl --no-pager --output=json {NIX}"),
        (
            "nix --since=-1h --lines 5 --priority err",
            f"journalctl --no-pager --since=-1h --lines=5 --priority=err --no-hostname {NIX}",
        ),
        ("--build /nix/store/x.drv", "nix-store --read-log /nix/store/x.drv"),
    ],
)
def test_the_journal_is_asked_for_what_is_wanted(tmp_path: Path, words: str, expected: str) -> None:
    code, called, _ = logs(tmp_path, *words.split())
    assert (code, called) == (0, expected.split())


@pytest.mark.parametrize(
    "words", ["--lines=-1", "--lines=all", "--priority=loud", "--since=nonsense", "kernel", "--build x -f"]
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, words: str) -> None:
    code, called, err = logs(tmp_path, *words.split())
    assert (code, called) == (ExitCode.USAGE, [])
    assert err.startswith("darlingbuilder: ")


def test_without_a_user_there_is_no_sshd_to_hear_of(tmp_path: Path) -> None:
    code, called, err = logs(tmp_path, "sshd")
    if code:  # on a machine with a builder there is one
        assert (code, called) == (ExitCode.PREREQUISITE, [])
        assert "there is no user darlingbuilder" in err
