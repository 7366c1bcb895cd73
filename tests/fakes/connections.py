"""A Darling whose sshd has real connections: a process each, with a process of its session below it."""

import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.adapters.procfs import Process
from tests.fakes.darling import FakeDarling

# It says nothing, for nobody reads it; the session outlives its connection unless it is ended itself.
_SERVER = """
import os, signal, socket, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    caller, _ = listening.accept()
    if os.fork() == 0:
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        subprocess.run(["sleep", "600"])
        os._exit(0)
    caller.close()
"""


@dataclass
class ConnectedDarling(FakeDarling):
    """Its processes are the server's, as the host sees them. ``callers``: our ends of the connections."""

    server_process: Running | None = None
    callers: list[socket.socket] = field(default_factory=list)

    def listen(self, port: int) -> None:
        """Start the server."""
        with open("/dev/null", "wb") as log:  # noqa: PTH123 - no path of a test's
            self.server_process = process.spawn(
                sys.executable, "-S", "-c", _SERVER, str(port), start=Start(), log=log
            )
        self._await(lambda: procfs.is_listening(port))

    def connect(self, port: int) -> socket.socket:
        """Come as somebody does, and wait until there is a session."""
        before = len(self.processes())
        caller = socket.create_connection(("127.0.0.1", port))
        self.callers.append(caller)
        self._await(lambda: len(self.processes()) >= before + 2)
        return caller

    def processes(self) -> list[Process]:
        """See Darling: the server with all its descendants."""
        everything, found = procfs.everything(), set[int]()
        more = {self.server_process.pid} if self.server_process else set()
        while more - found:
            found |= more
            more = {one.pid for one in everything if one.parent in found}
        return [one for one in everything if one.pid in found and not one.zombie]

    def end(self) -> None:
        """End all of it."""
        for one in self.processes():
            process.kill(one.pid, signal.SIGKILL)
        if self.server_process:
            self.server_process.wait(10)
        for caller in self.callers:
            caller.close()

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)
