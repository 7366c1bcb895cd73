"""What every Ssh does with a session: the fake with a guest of the tests, OpenSSH with a real sshd."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, tcp
from darlingbuilder.adapters.process import TIMED_OUT, Start
from darlingbuilder.adapters.ssh import OpenSsh, Ssh
from darlingbuilder.adapters.sshclient import Login
from darlingbuilder.core import keypair, wait
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.listening import Listening
from tests.names import ALIAS
from tests.real import MAY_BE_CHANGED
from tests.steps.prerequisites.machine import free_port
from tests.steps.running_builder import site

_CONFIG = """
ListenAddress 127.0.0.1
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
AuthenticationMethods publickey
"""


@dataclass(frozen=True)
class Ground:
    """An ssh, and a login to an sshd that runs; ``place``: a directory for what a test needs."""

    ssh: Ssh
    login: Login
    place: Path

    def key(self, name: str) -> bytes:
        """Make a key pair that nobody knows."""
        private = keypair.generate(name)
        Tree(self.place).write(Path("/") / name, private, mode=0o600)
        return private


@contextmanager
def fake(directory: Path) -> Iterator[Ground]:
    with site() as ours:
        with Paths(ours.settings).boot_log.open("ab") as log:
            ours.darling.boot(log)
        Listening(ours.settings, ours.world).start()
        paths = Paths(ours.settings)
        key, known_hosts = (ours.world.host.real(path) for path in (paths.key, paths.known_hosts))
        yield Ground(ours.world.ssh, Login(ours.settings.user, ours.port, key, known_hosts, ALIAS), directory)


@contextmanager
def real(directory: Path) -> Iterator[Ground]:
    # What sshd insists on if root starts it, and its service would make.
    Path("/run/sshd").mkdir(exist_ok=True)
    login = Login(getpass.getuser(), free_port(), directory / "key", directory / "known_hosts", ALIAS)
    ground = Ground(OpenSsh(), login, directory)
    host, user = ground.key("host"), ground.key("key")
    login.known_hosts.write_text(f"{ALIAS} {keypair.public_of(host).line}")
    (directory / "authorized").write_text(keypair.public_of(user).line)
    (directory / "config").write_text(
        f"Port {login.port}\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/authorized\n{_CONFIG}"
    )
    sshd = process.find("sshd")
    assert sshd
    with (directory / "log").open("wb") as log:
        running = process.spawn(sshd, "-D", "-e", "-f", directory / "config", start=Start(), log=log)
    try:
        assert wait.until(lambda: tcp.is_ssh(login.port, timeout=5), seconds=10), (directory / "log").read_text()
        yield ground
    finally:
        process.end(running)


REAL = [real] if MAY_BE_CHANGED and process.find("sshd") else []


@pytest.fixture(params=[fake, *REAL], ids=lambda make: make.__name__)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    with request.param(tmp_path) as made:
        yield made


def test_a_session_runs_a_shell_s_command(ground: Ground) -> None:
    said = ground.ssh.session(ground.login, "echo out; echo err >&2; f() { exit 42; }; f", timeout=20)
    assert (said.code, said.stdout) == (42, "out\n")
    assert "err" in said.stderr.splitlines()


def test_nothing_is_on_its_stdin(ground: Ground) -> None:
    assert ground.ssh.session(ground.login, "cat; echo end", timeout=20).stdout == "end\n"


def test_one_that_does_not_end_is_given_up(ground: Ground) -> None:
    said = ground.ssh.session(ground.login, "echo begun; sleep 20", timeout=2)
    assert (said.code, said.stdout) == (TIMED_OUT, "begun\n")


def test_where_nobody_listens_the_refusal_is_told(ground: Ground) -> None:
    said = ground.ssh.session(replace(ground.login, port=free_port()), "echo out", timeout=20)
    assert (said.code, said.stdout) == (255, "")
    assert "Connection refused" in said.stderr


def test_another_host_key_than_the_pinned_one_is_refused(ground: Ground) -> None:
    known_hosts = ground.place / "other_hosts"
    known_hosts.write_text(f"{ALIAS} {keypair.public_of(ground.key('other')).line}")
    said = ground.ssh.session(replace(ground.login, known_hosts=known_hosts), "echo out", timeout=20)
    assert (said.code, said.stdout) == (255, "")
    assert "Host key verification failed" in said.stderr


def test_another_key_is_not_let_in(ground: Ground) -> None:
    ground.key("stranger")
    said = ground.ssh.session(replace(ground.login, key=ground.place / "stranger"), "echo out", timeout=20)
    assert (said.code, said.stdout) == (255, "")
    assert "Permission denied" in said.stderr


def test_a_session_that_was_begun_is_not_waited_for_and_tells_all_in_the_end(ground: Ground) -> None:
    began = time.monotonic()
    session = ground.ssh.begin(ground.login, "sleep 1; echo out; echo err >&2; exit 42")
    assert session.answer() is None
    assert time.monotonic() - began < 1

    assert wait.until(lambda: session.answer() is not None, seconds=10)

    said = session.answer()
    assert said is not None
    assert said.code == 42
    assert {"out", "err"} <= set(said.stdout.splitlines())
    session.end()


def test_one_that_goes_on_can_be_ended(ground: Ground) -> None:
    session = ground.ssh.begin(ground.login, "sleep 3")
    began = time.monotonic()
    session.end()
    assert time.monotonic() - began < 1


def test_one_that_was_begun_and_is_refused_says_so(ground: Ground) -> None:
    session = ground.ssh.begin(replace(ground.login, port=free_port()), "echo out")
    assert wait.until(lambda: session.answer() is not None, seconds=10)
    said = session.answer()
    assert said is not None
    assert said.code == 255
    assert "Connection refused" in said.stdout
    session.end()
