"""A bus with a systemd on it, as far as waiting for a job needs one."""

import os
from collections import deque
from collections.abc import Callable, Mapping
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
    """pystemd's DBus: ``refused`` calls raise, each other one queues the job ``JOB``.

    ``messages`` are what comes in, one by one; after the last one ``silence`` is asked how it goes on.
    """

    messages: deque[Removed] = field(default_factory=deque)
    refused: Mapping[bytes, Exception] = field(default_factory=dict)
    silence: Callable[[], object] = lambda: NOTHING
    asked: list[bytes] = field(default_factory=list)

    def call_method(self, _destination: bytes, _path: bytes, _interface: bytes, method: bytes, _: object) -> object:
        """Call ``method`` of systemd."""
        self.asked.append(method)
        if method in self.refused:
            raise self.refused[method]
        return SimpleNamespace(body=JOB)

    def process(self) -> object:
        """Give the next message."""
        return self.messages.popleft() if self.messages else self.silence()

    def get_fd(self) -> int:
        """Give the descriptor to wait on."""
        return _ALWAYS_READABLE


def error(number: int, name: bytes | None, said: bytes) -> Exception:
    """Make the error that pystemd makes of an error on the bus."""
    made: Exception = DBusError(number, name, said)
    return made
