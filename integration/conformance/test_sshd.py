"""The guest's own sshd, run without privileges, with a real ssh client of the host."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.standin.guestroot import guest_root
from integration.standin.install import install

from . import processes
from .defect import Defect
from .launcher import NewPrefix
from .login import IPV4, IPV6, STRAY, Login, serving
from .processes import Account, eventually

TEN_MEGABYTES = 10_000_000


@pytest.fixture(scope="module")
def login(ordinary: Account, new_prefix_for_session: NewPrefix, workshop: Path) -> Iterator[Login]:
    """An sshd that runs as an ordinary user."""
    prefix = new_prefix_for_session(ordinary)
    prefix.boot()
    with serving(prefix, workshop) as login:
        yield login
    prefix.stop()


def test_an_ordinary_user_s_sshd_works_over_ipv6(login: Login) -> None:
    outcome = login.ssh("uname; exit 7")
    assert (outcome.rc, outcome.out) == (7, b"Darwin\n"), outcome


@pytest.fixture(scope="module")
def mended_login(
    request: pytest.FixtureRequest, ordinary: Account, new_prefix_for_session: NewPrefix, workshop: Path
) -> Iterator[Login]:
    """An sshd in a stand-in without those defects: what is mended is judged so by this very suite."""
    if request.config.getoption("darling"):
        pytest.skip("only the stand-in comes in two forms")
    prefix = new_prefix_for_session(ordinary)
    prefix.darling = install(workshop / "mended", guest_root(), mended=True)
    prefix.boot()
    with serving(prefix, workshop) as login:
        yield login
    prefix.stop()


def connected(login: Login) -> tuple[int, bytes]:
    outcome = login.ssh("uname", address=IPV4)
    return outcome.rc, outcome.out


def begin_of_session(login: Login) -> bytes:
    return login.call("ssh", *login.options(), f"{login.prefix.account.name}@{IPV6}", "true").out


def transferred(login: Login) -> tuple[bool, bool]:
    target = f"{login.prefix.account.name}@[{IPV6}]"
    outcome = login.call("sftp", *login.options(), "-b", "-", target, stdin=b"ls /usr/sbin/sshd\n")
    return outcome.rc == 0, b"/usr/sbin/sshd\n" in outcome.out


def test_over_ipv4_every_connection_dies(login: Login, defect: Defect) -> None:
    defect(connected(login), stated=(255, b""), mended=(0, b"Darwin\n"))


def test_a_session_begins_with_two_stray_lines(login: Login, defect: Defect) -> None:
    defect(begin_of_session(login), stated=STRAY, mended=b"")


def test_sftp_is_broken_by_the_stray_lines(login: Login, defect: Defect) -> None:
    defect(transferred(login), stated=(False, False), mended=(True, True))


def test_a_mended_stand_in_has_none_of_the_three(mended_login: Login) -> None:
    assert connected(mended_login) == (0, b"Darwin\n")
    assert begin_of_session(mended_login) == b""
    assert transferred(mended_login) == (True, True)


def test_ten_megabytes_go_there_and_back(login: Login) -> None:
    blob = os.urandom(TEN_MEGABYTES)
    assert login.ssh("cat > /private/tmp/blob", stdin=blob).rc == 0
    assert login.ssh("cat /private/tmp/blob").out == blob


def test_the_configured_path_is_obeyed(login: Login) -> None:
    login.prefix.write("/private/tmp/tools/a-tool", b"#!/bin/sh\necho a tool\n")
    login.prefix.shell("chmod", "755", "/private/tmp/tools/a-tool")
    assert login.ssh("a-tool").out == b"a tool\n"


def test_a_forced_command_sees_the_original_one(login: Login) -> None:
    assert login.ssh("nix-daemon --stdio", key="forced").out == b"forced: nix-daemon --stdio\n"


def test_an_unknown_key_is_refused(login: Login) -> None:
    outcome = login.ssh("true", key="host")
    assert outcome.rc == 255
    assert b"Permission denied" in outcome.err


def test_a_terminal_cannot_be_had(login: Login, defect: Defect) -> None:
    outcome = login.ssh("test -t 0 && echo terminal", more=("-tt",))
    defect(b"terminal" in outcome.out, stated=False, mended=True)


def test_a_session_runs_as_the_user_in_its_home(login: Login) -> None:
    user = login.prefix.account
    assert login.ssh("id -u; echo $HOME").out == f"{user.uid}\n/Users/{user.name}\n".encode()


def test_sshd_is_an_ordinary_host_process_of_its_user(login: Login) -> None:
    pid = processes.listener(login.port)
    assert pid in login.prefix.left_running()
    assert processes.owner(pid) == login.prefix.account.uid


def test_sigterm_to_its_host_pid_ends_sshd(ordinary: Account, new_prefix: NewPrefix, workshop: Path) -> None:
    prefix = new_prefix(ordinary)
    prefix.boot()
    with serving(prefix, workshop) as login:
        pid = processes.listener(login.port)
        assert pid
        os.kill(pid, signal.SIGTERM)
        assert eventually(lambda: not processes.is_alive(pid))
        assert processes.listener(login.port) == 0
        assert prefix.script("exit 6").rc == 6


def test_as_root_sshd_cannot_work(root: Account, new_prefix: NewPrefix, workshop: Path, defect: Defect) -> None:
    prefix = new_prefix(root)
    prefix.boot()
    with serving(prefix, workshop) as login:
        defect(login.ssh("true").rc, stated=255, mended=0)
