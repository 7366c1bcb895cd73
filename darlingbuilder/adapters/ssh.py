"""OpenSSH on the host: sshd's check of a configuration, and sessions with an sshd in a guest."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Completed, Running
from darlingbuilder.adapters.sshclient import Login

_HOST_KEY_LINE = re.compile(r"^HostKey\s.*$", re.MULTILINE)
# What sshd says, after it has read the configuration, where its service has never been started. In a container
# or on a desktop that is no fault of the configuration.
_UNPREPARED = ("Missing privilege separation directory", "Privilege separation user")


class Ssh(Protocol):
    """What the builder needs of OpenSSH on the host."""

    def config_errors(self, config: str, host_key: Path) -> str | None:
        """Check an sshd configuration with «sshd -t», its HostKey replaced by ``host_key``.

        Gives what sshd says of it; None if it is right, or there is no sshd on the host that could be asked.
        """

    def session(self, login: Login, command: str, *, timeout: float) -> Completed:
        """Run a shell's ``command`` in a session of its own, without a terminal and with nothing on its stdin.

        Its status is 255 where ssh itself fails, with the reason on stderr; 124 for the time limit.
        """

    def begin(self, login: Login, command: str) -> "Session":
        """Start such a session, and do not wait for it."""


class Session(Protocol):
    """A session in a guest that was not waited for."""

    def answer(self) -> Completed | None:
        """Give how it ended, its errors among its output; None while it goes on."""

    def end(self) -> None:
        """End it, if it goes on. Nothing can be asked of it any more."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """An ssh that runs, and the file without a name that its output goes to."""

    argv: tuple[str, ...]
    running: Running
    said: IO[bytes]

    def answer(self) -> Completed | None:
        """See Session."""
        code = self.running.poll()
        if code is None:
            return None
        self.said.seek(0)
        return Completed(self.argv, code, self.said.read().decode(errors="replace"), "")

    def end(self) -> None:
        """See Session."""
        process.end(self.running)
        self.said.close()


class OpenSsh:
    """The OpenSSH that is installed."""

    def config_errors(self, config: str, host_key: Path) -> str | None:
        """See Ssh."""
        sshd = process.find("sshd")
        if sshd is None:
            return None
        with tempfile.TemporaryDirectory(prefix="darlingbuilder-") as directory:
            path = Path(directory) / "sshd_config"
            # A function, since a string would have its backslashes read as references.
            path.write_text(_HOST_KEY_LINE.sub(lambda _: f'HostKey "{host_key}"', config), encoding="utf-8")
            checked = process.run(sshd, "-t", "-f", path, check=False)
        said = checked.stderr.replace(f"{path}", path.name).replace("\r", "").strip()
        complaint = said or f"«{checked.line}» gave {checked.code}"
        if checked.code == 0 or any(saying in complaint for saying in _UNPREPARED):
            return None
        return complaint

    def session(self, login: Login, command: str, *, timeout: float) -> Completed:
        """See Ssh."""
        return login.client.run(command, timeout=timeout)

    def begin(self, login: Login, command: str) -> Session:
        """See Ssh."""
        said = tempfile.TemporaryFile()  # noqa: SIM115 - the session, which outlives this call, closes it
        try:
            return _Begun(("ssh", login.alias, command), login.client.begin(command, log=said), said)
        except BaseException:
            said.close()
            raise
