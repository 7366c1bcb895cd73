"""A command in the guest: its words, streams, environment, directory, user and exit code."""

import os
from pathlib import Path

import pytest

from .launcher import Prefix
from .processes import eventually, owner

TEN_MEGABYTES = 10_000_000

# FACTS.md, «A fresh prefix».
MISSING = (
    "mount", "lsof", "perl", "python", "git", "base64", "shasum", "setsid", "su", "dscl", "dseditgroup",
    "sysadminctl", "sandbox-exec",
)  # fmt: skip
PRESENT = ("curl", "tar", "xz", "gzip", "rsync", "codesign")


@pytest.mark.parametrize("code", [0, 1, 42, 127, 255])
def test_an_exit_code_passes_through(guest: Prefix, code: int) -> None:
    assert guest.script(f"exit {code}").rc == code


def test_a_command_that_does_not_exist_gives_127(guest: Prefix) -> None:
    assert guest.shell("there-is-no-such-program").rc == 127


@pytest.mark.parametrize(
    "word", ["a  b", "it's", '"', "$HOME", "`id`", "\\", "*", "two\nlines", "", "ä", "'\\''", "-n", "; exit 9"]
)
def test_a_word_arrives_as_it_was_given(guest: Prefix, word: str) -> None:
    assert guest.script('printf "%s|" "$@"', word, "end").text == f"{word}|end|"


def test_ten_megabytes_pass_through_stdin_and_stdout(guest: Prefix) -> None:
    blob = os.urandom(TEN_MEGABYTES)
    assert guest.shell("cat", stdin=blob).out == blob


def test_stderr_is_kept_apart(guest: Prefix) -> None:
    outcome = guest.script("echo out; echo err >&2")
    assert (outcome.out, outcome.err) == (b"out\n", b"err\n")


def test_the_environment_leaks_in(guest: Prefix) -> None:
    env = guest.environment(NIX_REMOTE="leaked", ODD="a\n'b' \"c\"")
    assert guest.call("shell", "printenv", "NIX_REMOTE", "ODD", env=env).text == "leaked\na\n'b' \"c\"\n"


def test_home_tmpdir_and_path_are_set(guest: Prefix) -> None:
    env = guest.environment(TMPDIR="/host/tmp") | {"PATH": "/usr/bin:/bin:/host/bin", "HOME": "/host/home"}
    outcome = guest.call("shell", "bash", "-c", 'echo "$HOME:$TMPDIR:$PATH"', env=env)
    assert outcome.text.startswith(f"/Users/{guest.account.name}:")
    assert "/host/" not in outcome.text


def test_the_command_runs_in_a_login_shell(guest: Prefix) -> None:
    assert guest.shell("shopt", "-q", "login_shell").rc == 0


def test_the_directory_is_the_hosts(guest: Prefix, workshop: Path) -> None:
    assert guest.shell("pwd", cwd=workshop).text == f"/Volumes/SystemRoot{workshop}\n"


def test_the_guest_runs_as_its_caller(guest: Prefix) -> None:
    assert guest.shell("id", "-u").text == f"{guest.account.uid}\n"
    assert guest.shell("id", "-un").text == f"{guest.account.name}\n"


def test_a_guest_process_is_a_host_process_of_its_user(guest: Prefix) -> None:
    before = guest.left_running()
    with guest.running("sleep", "60") as client:
        # The client, too, enters the namespace, as root.
        before.add(client.pid)
        assert eventually(lambda: bool(guest.left_running() - before))
        assert all(owner(pid) == guest.account.uid for pid in guest.left_running() - before)


def test_the_whole_host_is_at_system_root(guest: Prefix, workshop: Path) -> None:
    note = workshop / "note"
    note.write_text("for everyone\n")
    assert guest.shell("cat", f"/Volumes/SystemRoot{note}").text == "for everyone\n"


def test_the_host_is_seen_with_the_rights_of_the_caller(guest: Prefix, workshop: Path) -> None:
    secret = workshop / "secret"
    secret.write_text("for me\n")
    secret.chmod(0o600)
    may = guest.account.uid in {0, os.geteuid()}
    assert (guest.shell("cat", f"/Volumes/SystemRoot{secret}").rc == 0) == may


def test_the_guest_says_that_it_is_darwin(guest: Prefix) -> None:
    assert guest.shell("uname").text == "Darwin\n"
    assert guest.shell("uname", "-s").text == "Darwin\n"
    assert guest.shell("uname", "-r").text == "20.6.0\n"
    assert guest.shell("uname", "-m").text == "x86_64\n"
    assert guest.shell("sw_vers", "-productVersion").text.startswith("11.")


def test_programs_that_macos_has_are_missing(guest: Prefix) -> None:
    found = guest.script('for p; do command -v "$p"; done; ls "/bin/[" 2> /dev/null; true', *MISSING)
    assert found.text == ""


def test_programs_that_a_builder_needs_are_there(guest: Prefix) -> None:
    found = guest.script('for p; do command -v "$p" > /dev/null || echo "$p"; done', *PRESENT)
    assert found.text == ""
    assert guest.shell("test", "-x", "/usr/sbin/sshd", "-a", "-x", "/usr/libexec/sftp-server").rc == 0
