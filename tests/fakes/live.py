"""A Darling whose sshd is a real process that listens on a real port."""

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.core.paths import GUEST_NIX, SSHD_CONFIG
from tests.fakes.darling import FakeDarling

SSHD = "/usr/sbin/sshd"
# It greets whoever comes, unless there is a file that keeps it from doing so, and ends with that file's directory.
_SERVER = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
listening.settimeout(1)
while os.path.isdir(os.path.dirname(sys.argv[2])):
    try:
        caller, _ = listening.accept()
    except TimeoutError:
        continue
    with caller:
        if not os.path.exists(sys.argv[2]):
            caller.sendall(b"SSH-2.0-OpenSSH_8.1\\r\\n")
"""


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

    def start(self, *command: str, log: IO[bytes]) -> Running:
        self.commands.append((command, self.mounts.get(GUEST_NIX)))
        if command[0] != SSHD or SSHD in self.answers:
            return super().start(*command, log=log)
        words = (sys.executable, "-S", "-c", _SERVER, str(self._port()), str(self.mute))
        self.sshd = process.spawn(*words, start=Start(), log=log)
        return self.sshd

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

    def _port(self) -> int:
        lines = (self.files().read(SSHD_CONFIG) or b"").decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Port "))
