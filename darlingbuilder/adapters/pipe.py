"""Two programs joined by a pipe that is watched: what goes through is counted, and neither outlives the other."""

import os
import select
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Running, Start
from darlingbuilder.core import ending
from darlingbuilder.core.errors import CommandError
from darlingbuilder.core.plain import plain

# As much as moves at once; the bytes stay in the kernel.
_AT_ONCE = 2**20
_LAST_LINES = 10
_HINT = "its own message says why; run it by hand to see more"


@dataclass(frozen=True, slots=True)
class Command:
    """A program to be started, and how."""

    argv: tuple[str | Path, ...]
    start: Start = field(default_factory=Start)

    @property
    def line(self) -> str:
        """The command as one types it."""
        return shlex.join(map(str, self.argv))


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the two while it runs."""

    command: Command
    running: Running
    complaints: IO[bytes]

    def failure(self, code: int) -> CommandError:
        self.complaints.seek(0)
        told = self.complaints.read().decode(errors="replace").strip() or "no message"
        return CommandError(
            f"«{self.command.line}» {ending.told(code)}: " + "\n".join(map(plain, told.splitlines()[-_LAST_LINES:])),
            hint=_HINT,
        )


def stream(source: Command, sink: Command, *, moved: Callable[[int], None], timeout: float) -> None:
    """Run ``source`` and feed ``sink`` with what it prints; ``moved`` is told of each portion's bytes.

    Raises CommandError for the one that fails, the reader before the writer whom that has stopped; after
    ``timeout`` seconds, and when we are interrupted, both are killed.
    """
    deadline = time.monotonic() + timeout
    with ExitStack() as stack:
        from_source, source_end = map(stack.enter_context, _pipe())
        sink_end, to_sink = map(stack.enter_context, _pipe())
        writer = _started(stack, source, None, source_end)
        reader = _started(stack, sink, sink_end, stack.enter_context(tempfile.TemporaryFile()))
        # Ours would keep each of them from noticing the other's end.
        source_end.close()
        sink_end.close()
        whole = _move(from_source.fileno(), to_sink.fileno(), moved, deadline)
        from_source.close()
        to_sink.close()
        _settle(writer, reader, deadline, whole=whole)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return open(reading, "rb", buffering=0), open(writing, "wb", buffering=0)  # noqa: PTH123 - descriptors


def _started(stack: ExitStack, command: Command, stdin: IO[bytes] | None, stdout: IO[bytes]) -> _Part:
    complaints = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    running = process.attach(*command.argv, start=command.start, stdin=stdin, stdout=stdout, stderr=complaints)
    stack.callback(_end, running)
    return _Part(command, running, complaints)


def _end(running: Running) -> None:
    if running.poll() is None:
        process.end(running)


def _move(source: int, sink: int, moved: Callable[[int], None], deadline: float) -> bool:
    """Move ``source`` to ``sink``; whether all of it went, and nobody stopped reading."""
    while _is_ready(source, select.POLLIN, deadline) and _is_ready(sink, select.POLLOUT, deadline):
        try:
            count = os.splice(source, sink, _AT_ONCE, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            continue
        except BrokenPipeError:
            return False  # the reader has ended; its exit status says why
        if count == 0:
            return True
        moved(count)
    return False


def _is_ready(descriptor: int, event: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(deadline - time.monotonic(), 0) * 1000))


def _settle(writer: _Part, reader: _Part, deadline: float, *, whole: bool) -> None:
    reader_code, writer_code = _code(reader, deadline), _code(writer, deadline)
    # A reader may only complain that the writer stopped in the middle, a writer that nobody reads on.
    told = [(writer, writer_code), (reader, reader_code)] if whole else [(reader, reader_code), (writer, writer_code)]
    for part, code in told:
        if code != 0:
            raise part.failure(code)


def _code(part: _Part, deadline: float) -> int:
    try:
        return part.running.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        process.end(part.running)
        raise CommandError(
            f"«{part.command.line}» did not end in time", hint="is the disk, or the other end, stuck? then try again"
        ) from None
