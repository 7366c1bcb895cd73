"""The only module that starts programs."""

import contextlib
import os
import resource
import select
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, Protocol, cast

from plumbum import local
from plumbum.machines.local import LocalCommand

from darlingbuilder.core import ending, log
from darlingbuilder.core.errors import CommandError, PrerequisiteError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.plain import plain

# plumbum adds its own environment to that of each call; emptied, a program sees what its call says.
local.env.clear()

TIMED_OUT = 124
# The paths of a whole store are some 10 MB; a guest's program may print without an end.
_MOST_PRINTED = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended. ``code``: its exit status, negative for a signal, 124 for the time limit."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def line(self) -> str:
        """The command as one types it."""
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group that a program can run as."""

    name: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started: by default with our environment, as we ourselves, in ``/``."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    account: Account | None = None
    directory: Path = Path("/")


class Running(Protocol):
    """A program that was started and not waited for."""

    @property
    def pid(self) -> int:
        """Its process id on the host."""

    def poll(self) -> int | None:
        """Give its exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""


def find(program: str) -> Path | None:
    """Find ``program`` on PATH and where systems keep what is not on it."""
    for directory in (*os.environ.get("PATH", "").split(":"), "/run/wrappers/bin", "/usr/sbin", "/sbin"):
        candidate = Path(directory) / program
        if directory and os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    return None


def run(
    *argv: str | Path,
    start: Start | None = None,
    stdin: bytes | IO[bytes] = b"",
    stdout: IO[bytes] | None = None,
    timeout: float = 60,
    check: bool = True,
) -> Completed:
    """Run a program for at most ``timeout`` seconds and capture what it prints; what goes to ``stdout`` is not.

    Raises CommandError if it does not give 0; with ``check=False`` the status is in what is returned. More than
    64 MiB on a stream is an error in any case. Output goes through files, not pipes: a grandchild that outlives the
    program cannot keep us waiting.
    """
    words = tuple(map(str, argv))
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if isinstance(stdin, bytes):
            source.write(stdin)
            source.seek(0)
        given = source if isinstance(stdin, bytes) else stdin
        running = _popen(words, start or Start(), stdin=given, stdout=stdout or out, stderr=err)
        code = _ended(running, timeout)
        completed = Completed(words, code, _text(out, words), _text(err, words))
    if code != 0:
        log.debug("ended", command=completed.line, outcome=_outcome(code, timeout))
    if check and code != 0:
        raise CommandError(
            f"«{completed.line}» {_outcome(code, timeout)}: {_last_words(completed)}",
            hint="its own message says why; run it by hand to see more",
        )
    return completed


def spawn(*argv: str | Path, start: Start, log: IO[bytes]) -> Running:
    """Start a program, stdin on /dev/null, stdout and stderr appended to ``log``, and do not wait for it.

    Never a pipe: what boots a Darling container hands it to the server, which keeps it open (darling#1510).
    """
    return _popen(tuple(map(str, argv)), start, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def attach(*argv: str | Path, start: Start, stdin: IO[bytes] | None, stdout: IO[bytes], stderr: IO[bytes]) -> Running:
    """Start a program on streams that are open already, and do not wait for it; see adapters/pipe.py."""
    given = subprocess.DEVNULL if stdin is None else stdin
    return _popen(tuple(map(str, argv)), start, stdin=given, stdout=stdout, stderr=stderr)


def become(*argv: str | Path, start: Start) -> NoReturn:
    """Replace this process by a program, which keeps our stdin, stdout and stderr."""
    program = _program(str(argv[0]))
    _tell(tuple(map(str, argv)), start)
    os.chdir(start.directory)
    if start.account:
        os.setgroups([])
        os.setgid(start.account.owner.gid)
        os.setuid(start.account.owner.uid)
    os.execve(program, tuple(map(str, argv)), dict(start.environment))  # noqa: S606 - no shell is wanted


def end(running: Running) -> None:
    """Kill a program that ``spawn`` has started, with all that it has started in its session, and wait for it."""
    _kill_session(running)


@contextlib.contextmanager
def limits(*, open_files: int, file_size: int) -> Iterator[None]:
    """Lower the soft limits for what is started meanwhile; a file beyond ``file_size`` bytes ends who writes it."""
    wanted = {resource.RLIMIT_NOFILE: open_files, resource.RLIMIT_FSIZE: file_size}
    before = {which: resource.getrlimit(which) for which in wanted}
    try:
        for which, (_, hard) in before.items():
            soft = wanted[which] if hard == resource.RLIM_INFINITY else min(wanted[which], hard)
            resource.setrlimit(which, (soft, hard))
        yield
    finally:
        for which, pair in before.items():
            resource.setrlimit(which, pair)


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal. Succeeds if the process is already gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _popen(
    words: tuple[str, ...], start: Start, *, stdin: IO[bytes] | int, stdout: IO[bytes], stderr: IO[bytes]
) -> Running:
    _tell(words, start)
    owner = start.account.owner if start.account else None
    identity = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}
    popen = LocalCommand(str(_program(words[0]))).popen(
        words[1:],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=str(start.directory),
        env=dict(start.environment),
        new_session=True,
        **identity,
    )
    return cast("Running", popen)  # a wrapper that hands everything on to subprocess.Popen


def _tell(words: tuple[str, ...], start: Start) -> None:
    told = {"user": start.account.name} if start.account else {}
    log.debug("running", command=shlex.join(words), **told)


def _program(word: str) -> Path:
    program = Path(word) if "/" in word else find(word)
    if program is None or not program.is_file():
        raise PrerequisiteError(f"{word}: not found", hint="install it; «darlingbuilder doctor» lists what is needed")
    return program


def _ended(running: Running, timeout: float) -> int:
    # Popen.wait() with a time limit looks ever more rarely, up to 50 ms late.
    descriptor = os.pidfd_open(running.pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], timeout)
    except BaseException:
        # Interrupted: what we started must not outlive us.
        _kill_session(running)
        raise
    finally:
        os.close(descriptor)
    if ended:
        return running.wait()
    _kill_session(running)
    return TIMED_OUT


def _kill_session(running: Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def _text(file: IO[bytes], words: tuple[str, ...]) -> str:
    file.seek(0)
    printed = file.read(_MOST_PRINTED + 1)
    if len(printed) > _MOST_PRINTED:
        raise CommandError(
            f"«{shlex.join(words)}» printed more than {_MOST_PRINTED >> 20} MiB",
            hint="run it by hand to see what it prints so much of",
        )
    return printed.decode(errors="replace")


def _outcome(code: int, timeout: float) -> str:
    if code == TIMED_OUT:
        return f"did not end within {timeout:g} s"
    return ending.told(code)


def _last_words(completed: Completed) -> str:
    lines = (completed.stderr.strip() or completed.stdout.strip() or "no message").splitlines()
    return "\n".join(map(plain, lines[-10:]))
