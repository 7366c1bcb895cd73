"""A bus with a systemd on it, as far as waiting for a job needs one."""

import errno
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pystemd.dbusexc import DBusError

JOB = b"/org/freedesktop/systemd1/job/7"
OTHER_JOB = b"/org/freedesktop/systemd1/job/8"


@dataclass(frozen=True, slots=True)
class Removed:
    """The signal that ``job`` is over, as pystemd has a message."""

    job: bytes
    outcome: bytes
    body: Any = None

    def is_empty(self) -> bool:
        """Whether there was no message."""
        return False

    def is_signal(self, _interface: bytes, member: bytes) -> bool:
        """Whether it is the signal ``member``."""
        return member == b"JobRemoved"

    def process_reply(self, _with_headers: bool) -> None:  # noqa: FBT001 - pystemd's own signature
        """Unpack the message."""
        object.__setattr__(self, "body", (7, self.job, b"contract.service", self.outcome))


_ALWAYS_READABLE = os.open(os.devnull, os.O_RDONLY)
NOTHING = SimpleNamespace(is_empty=lambda: True)


@dataclass(slots=True)
class FakeBus:
    """pystemd's DBus with systemd at its other end: ``refused`` methods raise, each other one queues the job ``JOB``.

    It ends with ``outcome`` once it was looked at ``looks`` times, and nobody hears of it if that is None. Where the
    bus is ``lost``, nothing comes any more.
    """

    outcome: bytes | None = b"done"
    looks: int = 0
    lost: bool = False
    refused: Mapping[bytes, Exception] = field(default_factory=dict)
    _messages: deque[Removed] = field(default_factory=deque)

    def call_method(self, _destination: bytes, path: bytes, _interface: bytes, method: bytes, _: object) -> object:
        """Call ``method`` of systemd, or of the job."""
        if method in self.refused:
            raise self.refused[method]
        if path == JOB:
            return self._looked_at()
        self._messages.append(Removed(OTHER_JOB, b"failed"))
        if self.looks == 0:
            self._end()
        return SimpleNamespace(body=JOB)

    def process(self) -> object:
        """Give the next message."""
        if self.lost:
            raise error(-errno.ENOTCONN, None, b"Failed to process bus")
        return self._messages.popleft() if self._messages else NOTHING

    def get_fd(self) -> int:
        """Give the descriptor to wait on."""
        return _ALWAYS_READABLE

    def _looked_at(self) -> object:
        self.looks -= 1
        if self.looks < 0:
            raise error(-errno.EIO, b"org.freedesktop.DBus.Error.UnknownObject", b"Unknown object")
        if self.looks == 0:
            self._end()
        return SimpleNamespace(body=b"running")

    def _end(self) -> None:
        if self.outcome is not None:
            self._messages.append(Removed(JOB, self.outcome))


def error(number: int, name: bytes | None, said: bytes) -> Exception:
    """Make the error that pystemd makes of an error on the bus."""
    made: Exception = DBusError(number, name, said)
    return made
