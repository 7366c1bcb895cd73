"""The only module of the machine that starts processes on the host."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The machine must not depend on darlingbuilder's own adapters: it is what they are tested on. Hence
# subprocess, banned elsewhere, in this module and in no other.
Process = subprocess.Popen  # noqa: TID251 - see above

CLEAN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended; a negative rc is the signal that ended it."""

    rc: int
    stdout: str
    stderr: str


class CommandError(Exception):
    """A command failed or took too long; the message carries all that it printed."""

    def __init__(self, argv: Sequence[str], verdict: str, completed: Completed) -> None:
        super().__init__(
            f"{' '.join(argv)}: {verdict}\n--- stdout ---\n{completed.stdout}\n--- stderr ---\n{completed.stderr}"
        )
        self.completed = completed


class CommandTimeoutError(CommandError):
    """The command was still running at the end of its time, and was killed."""


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    output: int = subprocess.PIPE,
) -> Process[bytes]:
    """Start a host process in a session of its own; ``output`` is where both of its streams go."""
    return subprocess.Popen(  # noqa: TID251 - see above
        argv,
        env=dict(CLEAN_ENVIRONMENT if env is None else env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a host command to its successful end; raise CommandError with its output otherwise."""
    process = start(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    completed = finish(process, argv, stdin=stdin, timeout=timeout, kill=process.kill)
    if completed.rc != 0:
        raise CommandError(argv, f"exit code {completed.rc}", completed)
    return completed


def finish(
    process: Process[bytes],
    argv: Sequence[str],
    *,
    stdin: bytes | None,
    timeout: float,
    kill: Callable[[], None],
) -> Completed:
    """Wait for the process and all that it prints; ``kill`` ends it when ``timeout`` seconds are over."""
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        kill()
        raise CommandTimeoutError(argv, f"killed after {timeout} s", _remains(process)) from None
    except BaseException:
        # Ctrl-C in the middle of a test: leave nothing behind.
        kill()
        raise
    return Completed(process.returncode, _text(out), _text(err))


def _remains(process: Process[bytes]) -> Completed:
    try:
        out, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired as still:
        # Something that was moved out of reach of ``kill`` still holds the pipe: take what there is.
        out, err = still.stdout or b"", still.stderr or b""
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    return Completed(process.wait(), _text(out), _text(err))


def _text(output: bytes | None) -> str:
    return "" if output is None else output.decode(errors="replace")
