"""The guest's own sshd, run without privileges, with a real ssh client of the host."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import processes
from .defect import Defect
from .launcher import NewPrefix, Outcome, Prefix
from .processes import Account, eventually

SSH_SECONDS = 20
UP_SECONDS = 20
TEN_MEGABYTES = 10_000_000
IPV4, IPV6 = "127.0.0.1", "::1"

# Printed by closefrom() of a stock Darling at the begin of every session.
STRAY = b"sys_proc_info(): Unsupported pidinfo flavor: 1\n" * 2

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey /private/etc/conformance/host
AuthorizedKeysFile /private/etc/conformance/authorized
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
SetEnv PATH=/private/tmp/tools:/usr/bin:/bin
Subsystem sftp /usr/libexec/sftp-server
"""


@dataclass(frozen=True, slots=True)
class Login:
    """A guest's sshd and what a client needs to reach it."""

    prefix: Prefix
    port: int
    keys: Path

    def options(self, key: str = "user") -> tuple[str, ...]:
        settings = (
            f"IdentityFile={self.keys / key}",
            f"Port={self.port}",
            f"UserKnownHostsFile={self.keys / 'known_hosts'}",
            "HostKeyAlias=guest",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ConnectTimeout=10",
        )
        return ("-F", "none", *(word for setting in settings for word in ("-o", setting)))

    def call(self, program: str, *words: str, stdin: bytes = b"") -> Outcome:
        """Run a client on the host as the suite's own user."""
        with tempfile.TemporaryFile() as into, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            into.write(stdin)
            into.seek(0)
            me = Account("", os.geteuid(), os.getegid())
            env = {"PATH": "/usr/bin:/bin", "LANG": "C", "HOME": str(self.keys)}
            client = processes.start((program, *words), me, env=env, streams=(into, out, err))
            try:
                client.wait(SSH_SECONDS)
            except processes.TimeUp:
                processes.end(client)
            out.seek(0)
            err.seek(0)
            return Outcome(client.returncode, out.read(), err.read(), 0)

    def ssh(
        self, command: str, *, address: str = IPV6, key: str = "user", more: tuple[str, ...] = (), stdin: bytes = b""
    ) -> Outcome:
        target = f"{self.prefix.account.name}@{address}"
        outcome = self.call("ssh", *self.options(key), *more, target, command, stdin=stdin)
        return Outcome(outcome.rc, outcome.out.removeprefix(STRAY), outcome.err, 0)


@contextmanager
def serving(prefix: Prefix, workshop: Path) -> Iterator[Login]:
    login = Login(prefix, _free_port(), Path(tempfile.mkdtemp(dir=workshop)))
    _install_keys(login)
    prefix.write("/private/etc/conformance/config", CONFIG.format(port=login.port).encode())
    with prefix.running("/usr/sbin/sshd", "-D", "-f", "/private/etc/conformance/config") as daemon:
        eventually(lambda: processes.listener(login.port) > 0 or daemon.poll() is not None, UP_SECONDS)
        yield login


def _free_port() -> int:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        port: int = probe.getsockname()[1]
        return port


def _install_keys(login: Login) -> None:
    for name in ("host", "user", "forced"):
        outcome = login.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(login.keys / name))
        assert outcome.rc == 0, outcome
    public = {name: (login.keys / f"{name}.pub").read_text() for name in ("host", "user", "forced")}
    (login.keys / "known_hosts").write_text(f"guest {public['host']}")
    forced = 'restrict,command="echo forced: $SSH_ORIGINAL_COMMAND" '
    login.prefix.write("/private/etc/conformance/host", (login.keys / "host").read_bytes())
    login.prefix.write(
        "/private/etc/conformance/authorized", f"restrict,pty {public['user']}{forced}{public['forced']}".encode()
    )


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


def test_over_ipv4_every_connection_dies(login: Login, defect: Defect) -> None:
    outcome = login.ssh("uname", address=IPV4)
    defect((outcome.rc, outcome.out), stated=(255, b""), mended=(0, b"Darwin\n"))


def test_a_session_begins_with_two_stray_lines(login: Login, defect: Defect) -> None:
    target = f"{login.prefix.account.name}@{IPV6}"
    defect(login.call("ssh", *login.options(), target, "true").out, stated=STRAY, mended=b"")


def test_sftp_is_broken_by_the_stray_lines(login: Login, defect: Defect) -> None:
    target = f"{login.prefix.account.name}@[{IPV6}]"
    outcome = login.call("sftp", *login.options(), "-b", "-", target, stdin=b"ls /usr/sbin/sshd\n")
    defect((outcome.rc == 0, b"/usr/sbin/sshd\n" in outcome.out), stated=(False, False), mended=(True, True))


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
