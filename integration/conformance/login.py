"""An sshd of the guest's own, run without privileges, and a real ssh client of the host."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .launcher import Outcome, Prefix
from .processes import Account, eventually

SSH_SECONDS = 20
UP_SECONDS = 20
IPV4, IPV6 = "127.0.0.1", "::1"
SSHD = "/usr/sbin/sshd"

# Printed by closefrom() of a stock Darling at the begin of every session.
STRAY = b"sys_proc_info(): Unsupported pidinfo flavor: 1\n" * 2

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
SetEnv PATH=/private/tmp/tools:/usr/bin:/bin{environment}
Subsystem sftp /usr/libexec/sftp-server
"""


@dataclass(frozen=True, slots=True)
class Login:
    """A guest's sshd and what a client needs to reach it."""

    prefix: Prefix
    port: int
    keys: Path

    @property
    def directory(self) -> str:
        """Where the guest has what this sshd reads: each its own, for sshd reads its keys again for each session."""
        return f"/private/etc/conformance/{self.port}"

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
def serving(
    prefix: Prefix, workshop: Path, environment: tuple[str, ...] = (), config: str = CONFIG
) -> Iterator[Login]:
    """Run an sshd; it and its sessions have ``environment``, as ``NAME=value``, too."""
    login = Login(prefix, _free_port(), Path(tempfile.mkdtemp(dir=workshop)))
    _install_keys(login)
    set_env = "".join(f" {variable}" for variable in environment)
    text = config.format(port=login.port, directory=login.directory, environment=set_env)
    prefix.write(f"{login.directory}/config", text.encode())
    with prefix.running("env", *environment, SSHD, "-D", "-f", f"{login.directory}/config") as daemon:
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
    login.prefix.write(f"{login.directory}/host", (login.keys / "host").read_bytes())
    login.prefix.write(
        f"{login.directory}/authorized", f"restrict,pty {public['user']}{forced}{public['forced']}".encode()
    )
