"""The journal of systemd, read by journalctl."""

import contextlib
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from darlingbuilder.adapters import process
from darlingbuilder.core import ending, log
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.plain import plain

# systemd's own message that a unit's process has ended (sd-messages(3): SD_MESSAGE_UNIT_PROCESS_EXIT).
_PROCESS_EXIT = "98e322203f7a4ed290d09fe03c09fe15"
# What sshd says of a login by a key, in 8.1 as in 10 (auth.c, auth_log).
_ACCEPTED = re.compile(r"Accepted publickey for \S+ from (\S+) port ([0-9]+) ssh2: \S+ (SHA256:\S+)")
_MICROSECONDS = 1e6
_SECONDS = 10
# A complaint, its hint, and what a library may have said after it.
_LINES = 20
_WIDTH = 300
# Our own errors fit; the 200 zero bytes by which sshd explains a lost IPv4 connection do not.
_LINE_WIDTH = 500


class End(msgspec.Struct, frozen=True):
    """How a unit's main process ended, and when, in seconds of the epoch; ``how``: «status 1», «signal KILL»."""

    at: float | None
    how: str


class _Entry(msgspec.Struct):
    """What systemd's message says of it."""

    EXIT_CODE: str
    EXIT_STATUS: str
    at: str = msgspec.field(name="__REALTIME_TIMESTAMP")


def last_lines(unit: str, count: int) -> str:
    """Give the last ``count`` lines of the journal of ``unit``."""
    printed = process.run(
        "journalctl",
        "--unit", unit,
        "--lines", str(count),
        "--output", "short-iso",
        "--no-pager", "--quiet",
        check=False,
    ).stdout  # fmt: skip
    return "\n".join(textwrap.shorten(line, _LINE_WIDTH, placeholder=" …") for line in printed.splitlines())


def last_end(unit: str) -> End | None:
    """Give the last end of ``unit`` that the journal knows of; None if it knows of none, or cannot be read."""
    matches = (f"UNIT={unit}", f"MESSAGE_ID={_PROCESS_EXIT}", "_PID=1")
    with contextlib.suppress(PrerequisiteError, msgspec.MsgspecError, ValueError):
        printed = process.run(
            "journalctl", "--output", "json", "--lines", "1", "--quiet", "--no-pager", *matches,
            timeout=_SECONDS,
            check=False,
        ).stdout  # fmt: skip
        entry = msgspec.json.decode(printed, type=_Entry)
        by = ending.by_status if entry.EXIT_CODE == "exited" else ending.by_signal
        return End(int(entry.at) / _MICROSECONDS, by(int(entry.EXIT_STATUS)))
    return None


@dataclass(frozen=True, slots=True)
class Admission:
    """A login: when (epoch seconds), from which address and port, by the key with which fingerprint."""

    at: float
    peer: tuple[str, int]
    fingerprint: str


class _Line(msgspec.Struct):
    """A line of the journal. A text that is no UTF-8 comes as numbers, and is none of sshd's."""

    at: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    message: str | list[int] | None = msgspec.field(name="MESSAGE", default=None)


def admissions(unit: str, uid: int, *, since: float) -> list[Admission]:
    """List the logins that a guest's sshd, as ``uid`` in ``unit``, has logged since then; the oldest first."""
    with contextlib.suppress(PrerequisiteError):
        printed = process.run(
            "journalctl", "--output", "json", "--output-fields", "MESSAGE", "--quiet", "--no-pager",
            f"--since=@{math.floor(since)}",
            f"_SYSTEMD_UNIT={unit}", f"_UID={uid}",
            timeout=_SECONDS,
            check=False,
        ).stdout  # fmt: skip
        return list(_admissions(printed))
    return []


def _admissions(printed: str) -> Iterator[Admission]:
    for line in printed.splitlines():
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            entry = msgspec.json.decode(line, type=_Line)
            found = _ACCEPTED.search(entry.message) if isinstance(entry.message, str) else None
            if found:
                yield Admission(int(entry.at) / _MICROSECONDS, (found[1], int(found[2])), found[3])


def last_error(unit: str, invocation: str) -> str | None:
    """Give the last complaint of darlingbuilder's own in that run of ``unit``; None if the journal knows of none.

    The guest's user belongs to the unit, too, and can log what looks like one: ours are root's.
    """
    if not invocation:
        return None
    matches = (f"_SYSTEMD_UNIT={unit}", f"_SYSTEMD_INVOCATION_ID={invocation}", "_UID=0")
    with contextlib.suppress(PrerequisiteError):
        printed = process.run(
            "journalctl", "--output", "cat", "--priority", "err", "--lines", str(_LINES), "--quiet", "--no-pager",
            *matches,
            timeout=_SECONDS,
            check=False,
        ).stdout  # fmt: skip
        found = [line for line in printed.splitlines() if line.startswith(log.COMPLAINT)]
        said = plain(found[-1].removeprefix(log.COMPLAINT)) if found else ""
        return textwrap.shorten(said, _WIDTH, placeholder=" …") or None
    return None


def understands(since: str) -> bool:
    """Tell whether journalctl can read ``since`` as a point in time (systemd.time(7))."""
    said = process.run("journalctl", "--quiet", "--lines=0", f"--since={since}", timeout=_SECONDS, check=False)
    return said.code == 0 or "timestamp" not in said.stderr


def show(
    matches: Sequence[str], *, follow: bool, since: str | None, lines: int | None, priority: str | None, json: bool
) -> NoReturn:
    """Become journalctl, which prints what fits ``matches`` (journalctl(1)), with all fields as ``json``."""
    options = [
        *(["--follow"] if follow else ["--no-pager"]),
        *([f"--since={since}"] if since else []),
        *([f"--lines={lines}"] if lines is not None else []),
        *([f"--priority={priority}"] if priority else []),
        *(["--output=json"] if json else ["--no-hostname"]),
    ]
    process.become("journalctl", *options, *matches, start=process.Start())
