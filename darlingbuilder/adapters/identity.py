"""What is done as another user: in a process of its own, within a time, its answer taken as a stranger's."""

import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

import msgspec

from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import BuilderError, NixError

Answer = TypeVar("Answer")
_CHUNK = 1 << 16
_SECONDS_TO_END = 5.0
# Nothing of our environment is its business, nor that of what it starts.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


class _Said(msgspec.Struct):
    """What comes back: an answer, or an error of ours, or what was met there, or a bug's traceback."""

    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    hint: str = ""
    met: str = ""
    bug: str = ""


def as_user(account: Account | None, action: Callable[[], Answer], kind: type[Answer], *, seconds: float) -> Answer:
    """Do ``action`` as ``account``, or as ourselves, and give its answer, which is of ``kind``.

    It is done in a copy of this process: what ``action`` changes stays there. The guest's user can prepare what it
    meets, so it may hang, die or be refused by the system, and only that copy with it. Raises NixError then, and for
    the errors of ``action``.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_it(account, action, writing)
    os.close(writing)
    try:
        words = _read(reading, seconds)
    finally:
        os.close(reading)
        _end(pid)
    return _answer(words, kind, account, seconds)


def _become_it(account: Account | None, action: Callable[[], object], writing: int) -> None:
    """Run on as ``account`` to the end of ``action``, and never return."""
    try:
        words = _done(account, action)
        while words:
            words = words[os.write(writing, words) :]
    finally:
        os._exit(0)


def _done(account: Account | None, action: Callable[[], object]) -> bytes:
    try:
        # Its own end, not the service's.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if account and account.owner.uid != os.geteuid():
            os.setgroups([])
            os.setgid(account.owner.gid)
            os.setuid(account.owner.uid)
        os.environ.clear()
        os.environ.update(_ENVIRONMENT)
        os.chdir("/")
        # The limit of ours is low for the sake of what runs in Darling.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        said = _Said(answer=msgspec.Raw(msgspec.json.encode(action())))
    except BuilderError as error:
        said = _Said(error=str(error), hint=error.hint)
    except (OSError, ValueError) as error:
        # A full disk; a name with a null byte; rows that refer to each other.
        said = _Said(met=str(error) or type(error).__name__)
    except BaseException:  # noqa: BLE001 - told on the other side
        said = _Said(bug=traceback.format_exc())
    return msgspec.json.encode(said)


def _read(reading: int, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    parts = []
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        part = os.read(reading, _CHUNK)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _end(pid: int) -> None:
    """End the process, if it has not ended, and ask for its status; interrupted, it ends what it has started."""
    os.kill(pid, signal.SIGTERM)
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], _SECONDS_TO_END)[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(descriptor)
    os.waitpid(pid, 0)


def _answer(words: bytes, kind: type[Answer], account: Account | None, seconds: float) -> Answer:
    whom = account.name if account else "ourselves"
    try:
        said = msgspec.json.decode(words, type=_Said)
        if said.bug:
            raise RuntimeError(said.bug)
        if said.error:
            raise NixError(said.error, hint=said.hint)
        if said.met:
            raise NixError(
                f"what was to be done as {whom} failed: {said.met}",
                hint="its store may be full, or damaged by a build; to begin with an empty one: darlingbuilder reset",
            )
        return msgspec.json.decode(said.answer, type=kind)
    except msgspec.DecodeError:
        raise NixError(
            f"what was to be done as {whom} was not done within {seconds:g} s",
            hint="look for processes of that user that use up the machine",
        ) from None
