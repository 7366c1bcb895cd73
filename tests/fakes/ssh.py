"""An OpenSSH whose sshd knows the keywords of 8.1, a stock Darling's, and whose ssh reaches a guest of the tests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.process import Completed
from darlingbuilder.adapters.ssh import Session
from darlingbuilder.adapters.sshclient import Login

_WITHOUT_VALUE_CHECK = frozenset({
    "addressfamily", "allowusers", "authenticationmethods", "authorizedkeysfile", "hostkey", "listenaddress",
    "loglevel", "pidfile", "setenv", "subsystem",
})  # fmt: skip
_NUMBERS = frozenset({"maxsessions", "maxstartups", "port"})
# A guest that hangs is given up after so long.
_SECONDS = 10.0
_SWITCHES = frozenset({
    "allowagentforwarding", "allowstreamlocalforwarding", "allowtcpforwarding", "challengeresponseauthentication",
    "compression", "disableforwarding", "kbdinteractiveauthentication", "passwordauthentication",
    "permitrootlogin", "permittty", "permittunnel", "permituserenvironment", "permituserrc", "strictmodes",
    "usedns", "usepam", "x11forwarding",
})  # fmt: skip


@dataclass(slots=True)
class FakeSsh:
    """Checks keywords and the form of their values. ``complaint``: what it says of any configuration.

    ``guest``: what an sshd in a guest does with a login, a command and so many seconds for it.
    """

    installed: bool = True
    complaint: str | None = None
    guest: Callable[[Login, str, float], Completed] = lambda login, _command, _seconds: _refused(login)

    def config_errors(self, config: str, host_key: Path) -> str | None:
        """See Ssh."""
        del host_key
        if not self.installed:
            return None
        errors = (_error(line, number) for number, line in enumerate(config.splitlines(), 1))
        return self.complaint or next((error for error in errors if error), None)

    def session(self, login: Login, command: str, *, timeout: float) -> Completed:
        """See Ssh."""
        return self.guest(login, command, timeout)

    def begin(self, login: Login, command: str) -> Session:
        """See Ssh."""

        def talk() -> Completed:
            said = self.guest(login, command, _SECONDS)
            return Completed(said.argv, said.code, said.stdout + said.stderr, "")

        return _Begun(talk)


@dataclass(slots=True)
class _Begun:
    """A session that goes on by itself; one that is ended is left alone, and given up by itself."""

    talk: Callable[[], Completed]
    said: list[Completed] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        threading.Thread(target=self._go_on, daemon=True).start()

    def _go_on(self) -> None:
        try:
            self.said.append(self.talk())
        except (OSError, ValueError):
            # What one that was ended still talks to may be gone by now.
            if not self.over:
                raise

    def answer(self) -> Completed | None:
        """See Session."""
        assert not self.over
        return self.said[0] if self.said else None

    def end(self) -> None:
        """See Session."""
        self.over = True


def _refused(login: Login) -> Completed:
    return Completed(("ssh",), 255, "", f"ssh: connect to host 127.0.0.1 port {login.port}: Connection refused\n")


def _error(line: str, number: int) -> str | None:
    keyword, _, value = line.strip().partition(" ")
    name, where = keyword.lower(), f"sshd_config: line {number}"
    if not keyword or keyword.startswith("#"):
        return None
    if name not in _WITHOUT_VALUE_CHECK | _NUMBERS | _SWITCHES:
        return f"{where}: Bad configuration option: {keyword}"
    wrong = (name in _NUMBERS and not value.isdigit()) or (name in _SWITCHES and value not in {"yes", "no"})
    return f"{where}: Badly formatted {keyword}: {value}" if wrong or not value else None
