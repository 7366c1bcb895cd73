"""How the launcher is called, and how a prefix is chosen."""

import stat
from pathlib import Path

import pytest

from .launcher import NewPrefix, Prefix
from .processes import Account


def test_the_launcher_is_setuid_root(darling: Path) -> None:
    launcher = darling.stat()
    assert launcher.st_uid == 0
    assert launcher.st_mode & stat.S_ISUID


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_boot_nothing(word: str, ordinary: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(ordinary)
    outcome = prefix.call(word)
    assert outcome.rc == 0
    assert outcome.said
    assert not prefix.server()


def test_the_help_names_the_verbs_and_the_variable(guest: Prefix) -> None:
    outcome = guest.call("--help")
    assert all(word in outcome.said for word in ("shell", "exec", "shutdown", "DPREFIX"))


def test_there_is_no_option_for_the_prefix(guest: Prefix) -> None:
    outcome = guest.call("--prefix", "/nowhere", "shell", "true")
    assert outcome.rc == 1
    assert "'--prefix' is not a supported command or a file." in outcome.said


def test_an_unknown_verb_is_an_error(guest: Prefix) -> None:
    outcome = guest.call("frobnicate")
    assert outcome.rc == 1
    assert "not a supported command or a file" in outcome.said


def test_exec_runs_a_program_by_its_path_on_the_host(guest: Prefix) -> None:
    outcome = guest.call("exec", f"{guest.path}/bin/bash", "-c", 'echo "$1"; exit 5', "bash", "a  b")
    assert (outcome.rc, outcome.text) == (5, "a  b\n")


def test_the_variable_alone_chooses_the_prefix(ordinary: Account, guest: Prefix, new_prefix: NewPrefix) -> None:
    other = new_prefix(ordinary)
    other.boot()
    other.write("/private/tmp/mine", b"here\n")
    assert guest.shell("cat", "/private/tmp/mine").rc != 0
    assert other.shell("cat", "/private/tmp/mine").text == "here\n"
