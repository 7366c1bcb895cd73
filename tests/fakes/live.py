"""A Darling whose sshd is a real process that listens on a real port, and whose sessions run a real shell."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import Completed, Running, Start
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.adapters.sshclient import Login
from darlingbuilder.core import keypair
from darlingbuilder.core.paths import AUTHORIZED_KEYS, GUEST_NIX, HOST_KEY, SHIM, SSHD_CONFIG
from tests.fakes.darling import FakeDarling
from tests.fakes.guestshell import GuestShell

SSHD = "/usr/sbin/sshd"
ENV = "/usr/bin/env"
INSERT = "DYLD_INSERT_LIBRARIES"
# It greets whoever comes, unless there is a file that keeps it from doing so, and ends with that file's directory.
# Who is told so hangs up on whoever comes.
_SERVER = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
listening.settimeout(1)
silent = []
while os.path.isdir(os.path.dirname(sys.argv[2])):
    try:
        caller, _ = listening.accept()
    except TimeoutError:
        continue
    if os.path.exists(sys.argv[2]):
        silent.append(caller)
        continue
    with caller:
        if sys.argv[3] != "hang up":
            caller.sendall(b"SSH-2.0-OpenSSH_8.1\\r\\n")
"""
_STRAY = "sys_proc_info(): Unsupported pidinfo flavor: 1\n" * 2
_FAILED = 255


@dataclass
class LiveDarling(FakeDarling):
    """Starts its sshd on the port that the guest's sshd_config says; ``answers`` can have another one in its place.

    ``commands``: what was started, with what was mounted on the guest's /nix at that moment.
    """

    commands: list[tuple[tuple[str, ...], Path | None]] = field(default_factory=list)
    sshd: Running | None = None

    @property
    def mute(self) -> Path:
        """The file that keeps the sshd from greeting."""
        return self.prefix.parent / "mute"

    @cached_property
    def shell(self) -> GuestShell:
        """The guest's bash, and what is wrong with this Darling."""
        state = self.prefix.parents[1]
        return GuestShell(state.with_name("shell"), state / "nix")

    @property
    def sshds(self) -> list[tuple[str, ...]]:
        """The commands by which an sshd was started."""
        return [command for command, _ in self.commands if SSHD in command]

    def start(self, *command: str, log: IO[bytes]) -> Running:
        self.commands.append((command, self.mounts.get(GUEST_NIX)))
        variables, rest = spelled_out(command)
        if rest[0] != SSHD or SSHD in self.answers:
            return super().start(*rest, log=log)
        kind = "hang up" if self._wrong("getsockopt", variables) else "greet"
        words = (sys.executable, "-S", "-c", _SERVER, str(self._port()), str(self.mute), kind)
        self.sshd = process.spawn(*words, start=Start(), log=log)
        return self.sshd

    def run(self, *command: str, timeout: float) -> Completed:
        variables, rest = spelled_out(command)
        if rest[0] != "/bin/bash" or rest[0] in self.answers:
            return super().run(*rest, timeout=timeout)
        self._must_be_up()
        return self.shell.run(rest, self._loadable(variables), timeout=timeout)

    def processes(self) -> list[Process]:
        sshd = procfs.process(self.sshd.pid) if self.sshd and self.sshd.poll() is None else None
        return [*super().processes(), *([sshd] if sshd else [])]

    def shutdown(self) -> None:
        super().shutdown()
        if self.sshd:
            self.kill_sshd()

    def kill_sshd(self) -> None:
        """End the sshd as a crash does."""
        assert self.sshd
        process.kill(self.sshd.pid, signal.SIGKILL)
        self.sshd.wait(10)

    def session(self, login: Login, command: str, timeout: float) -> Completed:
        """Let somebody in as sshd does, and run a command for him."""
        if refusal := self._refusal(login):
            return Completed(("ssh",), _FAILED, "", f"{refusal}\n")
        own, words = spelled_out(self.sshds[-1])
        variables = self._loadable(set_by(words))
        said = self.shell.run(("/bin/bash", "-c", command), variables, timeout=timeout)
        stray = _STRAY if self._wrong("proc_pidinfo", own) else ""
        return Completed(said.argv, said.code, stray + said.stdout, said.stderr)

    def _refusal(self, login: Login) -> str:
        if self.sshd is None or self.sshd.poll() is not None or login.port != self._port():
            return f"ssh: connect to host 127.0.0.1 port {login.port}: Connection refused"
        if self._wrong("getsockopt", spelled_out(self.sshds[-1])[0]):
            return "kex_exchange_identification: Connection closed by remote host"
        host_key = keypair.public_of(self.files().read(HOST_KEY) or b"").line.split()[:2]
        if [login.alias, *host_key] not in [line.split()[:3] for line in login.known_hosts.read_text().splitlines()]:
            return "Host key verification failed."
        if keypair.public_of(login.key.read_bytes()).line.split()[1].encode() not in self._authorized():
            return f"{login.user}@127.0.0.1: Permission denied (publickey)."
        return ""

    def _authorized(self) -> bytes:
        return self.files().read(AUTHORIZED_KEYS) or b""

    def _loadable(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Give ``variables`` without a shim that is not there."""
        there = variables.get(INSERT) == str(SHIM) and self.files().read(SHIM)
        return {name: value for name, value in variables.items() if there or name != INSERT}

    def _wrong(self, correction: str, variables: Mapping[str, str]) -> bool:
        """Whether this Darling has the defect, and no shim with its correction is loaded by ``variables``."""
        loaded = INSERT in self._loadable(variables)
        corrected = variables.get("DARLINGBUILDER_COMPAT", "").split(",") if loaded else []
        return correction in self.shell.defects and correction not in corrected

    def _port(self) -> int:
        lines = (self.files().read(SSHD_CONFIG) or b"").decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Port "))


def spelled_out(command: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Give the variables that env(1) is to set for a command, and what is left of it."""
    if command[0] != ENV:
        return {}, command
    words = list(command[1:])
    if words[0] == "-i":
        words.pop(0)
    variables: dict[str, str] = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    return variables, tuple(words)


def set_by(sshd: tuple[str, ...]) -> dict[str, str]:
    """Give the variables that an sshd started in this way sets for its sessions, over those of its configuration."""
    found = next((word.removeprefix("SetEnv=") for word in sshd if word.startswith("SetEnv=")), "")
    return dict(one.split("=", 1) for one in found.split())
