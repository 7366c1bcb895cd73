"""A stock guest's sshd on 127.0.0.1, configured as darlingbuilder does it, with the shim and without."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.core import render
from integration.conformance.defect import Defect
from integration.conformance.launcher import Outcome
from integration.conformance.login import IPV4, STRAY, Login, serving

from .guest import WHOLE, WITHOUT, Guest, Preload, all_but

TEN_MEGABYTES = 10_000_000
TOOLS = "/private/tmp/tools"
PATH = f"{TOOLS}:/usr/bin:/bin"


def config_for(user: str, preload: Preload) -> str:
    # serving() knows the port, and where it puts the keys.
    return render.template(
        "sshd_config.j2",
        user=user,
        port="{port}",
        addresses=["127.0.0.1"],
        ipv6=False,
        host_key="{directory}/host",
        authorized_keys="{directory}/authorized",
        environment={"PATH": PATH, **preload},
    )


def _serve(guest: Guest, workshop: Path, preload: Preload) -> Iterator[Login]:
    variables = tuple(f"{name}={value}" for name, value in preload.items())
    with serving(guest.prefix, workshop, variables, config_for(guest.prefix.account.name, preload)) as login:
        yield login


@pytest.fixture(scope="module")
def stock(plain_guest: Guest, workshop: Path) -> Iterator[Login]:
    """An sshd without the shim."""
    yield from _serve(plain_guest, workshop, WITHOUT)


@pytest.fixture(scope="module")
def login(guest: Guest, workshop: Path) -> Iterator[Login]:
    """An sshd with all of the shim."""
    yield from _serve(guest, workshop, WHOLE)


@pytest.fixture
def lessened(guest: Guest, workshop: Path, request: pytest.FixtureRequest) -> Iterator[Login]:
    """An sshd with the shim but without one correction."""
    yield from _serve(guest, workshop, all_but(request.param))


def _ssh(login: Login, command: str, stdin: bytes = b"") -> Outcome:
    """Run a command; the client's own report is in ``err``, to be seen where a test fails."""
    target = f"{login.prefix.account.name}@{IPV4}"
    return login.call("ssh", *login.options(), "-v", target, command, stdin=stdin)


def _greets(login: Login) -> tuple[int, bytes]:
    outcome = _ssh(login, "uname")
    return outcome.rc, outcome.out


def test_every_connection_to_a_stock_sshd_dies(stock: Login, defect: Defect) -> None:
    defect(_greets(stock), stated=(255, b""), mended=(0, b"Darwin\n"))


def test_a_connection_works_and_its_stdout_is_clean(login: Login) -> None:
    outcome = _ssh(login, "uname")
    assert (outcome.rc, outcome.out) == (0, b"Darwin\n"), outcome


@pytest.mark.parametrize("lessened", ["getsockopt"], indirect=True)
def test_without_getsockopt_s_correction_every_connection_dies(lessened: Login, defect: Defect) -> None:
    defect(_greets(lessened), stated=(255, b""), mended=(0, b"Darwin\n"))


@pytest.mark.parametrize("lessened", ["proc_pidinfo"], indirect=True)
def test_without_proc_pidinfo_s_correction_a_session_begins_with_stray_lines(lessened: Login, defect: Defect) -> None:
    defect(_greets(lessened), stated=(0, STRAY + b"Darwin\n"), mended=(0, b"Darwin\n"))


@pytest.mark.parametrize("code", [0, 1, 42, 100, 127])
def test_an_exit_code_comes_back(login: Login, code: int) -> None:
    outcome = _ssh(login, f"echo said; exit {code}")
    assert (outcome.rc, outcome.out) == (code, b"said\n"), outcome


def test_stderr_is_kept_apart(login: Login) -> None:
    outcome = _ssh(login, "echo out; echo a-word-of-its-own >&2")
    assert outcome.out == b"out\n", outcome
    assert b"a-word-of-its-own\n" in outcome.err


def test_ten_megabytes_go_there_and_back(login: Login) -> None:
    blob = os.urandom(TEN_MEGABYTES)
    outcome = _ssh(login, "cat > /private/tmp/blob && echo written", stdin=blob)
    assert outcome.out == b"written\n", outcome
    assert _ssh(login, "cat /private/tmp/blob").out == blob


def test_ten_megabytes_go_there_and_back_in_one_session(login: Login) -> None:
    blob = os.urandom(TEN_MEGABYTES)
    assert _ssh(login, "cat", stdin=blob).out == blob


def test_the_configured_path_is_obeyed(login: Login) -> None:
    login.prefix.write(f"{TOOLS}/a-tool", b"#!/bin/sh\necho a tool\n")
    login.prefix.shell("chmod", "755", f"{TOOLS}/a-tool")
    assert _ssh(login, 'a-tool; echo "$PATH"').out == f"a tool\n{PATH}\n".encode()


def test_files_go_there_and_back_by_sftp(login: Login, tmp_path: Path) -> None:
    blob = os.urandom(TEN_MEGABYTES)
    (tmp_path / "there").write_bytes(blob)
    batch = f"put {tmp_path}/there /private/tmp/sftp\nget /private/tmp/sftp {tmp_path}/back\nls /usr/sbin/sshd\n"
    target = f"{login.prefix.account.name}@{IPV4}"
    outcome = login.call("sftp", *login.options(), "-b", "-", target, stdin=batch.encode())
    assert outcome.rc == 0, outcome
    assert (tmp_path / "back").read_bytes() == blob
    assert b"/usr/sbin/sshd\n" in outcome.out


@pytest.mark.parametrize("lessened", ["proc_pidinfo"], indirect=True)
def test_without_proc_pidinfo_s_correction_sftp_is_broken(lessened: Login, defect: Defect) -> None:
    target = f"{lessened.prefix.account.name}@{IPV4}"
    outcome = lessened.call("sftp", *lessened.options(), "-b", "-", target, stdin=b"ls /usr/sbin/sshd\n")
    defect((outcome.rc == 0, b"/usr/sbin/sshd\n" in outcome.out), stated=(False, False), mended=(True, True))


def test_sessions_one_after_another_and_at_once_all_work(login: Login) -> None:
    words = [_ssh(login, f"echo {number}").out for number in range(5)]
    assert words == [f"{number}\n".encode() for number in range(5)]
    many = 'for n in 1 2 3 4; do (yes | head -1; echo "${PIPESTATUS[0]}") & wait $!; done'
    assert _ssh(login, many).out == b"y\n141\n" * 4


def test_the_shim_acts_in_a_session_unseen(login: Login, guest: Guest) -> None:
    outcome = _ssh(login, f"{guest.programs}/environment; env -i {guest.programs}/environment")
    assert outcome.out == b"loaded: yes\n" * 2, outcome


def test_a_session_s_environment_does_not_name_the_shim(login: Login) -> None:
    outcome = _ssh(login, "env; echo end")
    assert outcome.out.endswith(b"end\n"), outcome
    assert b"DYLD_" not in outcome.out
    assert b"DARLINGBUILDER" not in outcome.out


def test_a_session_outlives_a_broken_pipe(login: Login) -> None:
    outcome = _ssh(login, 'yes | head -1; echo "${PIPESTATUS[@]}"')
    assert outcome.out == b"y\n141 0\n", outcome


def test_a_key_that_is_not_authorized_is_refused(login: Login) -> None:
    target = f"{login.prefix.account.name}@{IPV4}"
    outcome = login.call("ssh", *login.options("host"), target, "true")
    assert outcome.rc == 255
    assert b"Permission denied" in outcome.err
