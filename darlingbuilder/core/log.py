"""What the tool says of its work, by structlog: on stderr, or in the journal if that is where stderr leads."""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

PROGRAM = "darlingbuilder"
# Before each key of an event: the journal has meanings of its own for some, MESSAGE and UNIT say.
FIELD = "DARLINGBUILDER_"
_LONGEST_FIELD = 64
# syslog's numbers for structlog's names.
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
Send = Callable[[Mapping[str, str]], None]

# Events below this level are not said; ``configure`` sets it.
_level = logging.INFO
# Where they go instead of stderr; ``configure`` sets it, too.
_send: Send | None = None


def configure(*, verbose: bool, quiet: bool, send: Send | None = None) -> None:
    """Choose what is said from now on: all, or warnings alone, or what a user wants to know; ``send`` takes it."""
    global _level, _send  # noqa: PLW0603 - one process, one stderr
    _level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    _send = send


def is_quiet() -> bool:
    """Whether only what is wrong is to be said."""
    return _level > logging.INFO


def journal(environment: Mapping[str, str], stream: TextIO) -> Send | None:
    """Give what sends events to the journal as structured fields, if ``stream`` leads there (systemd.exec(5)).

    None where it does not, or where pystemd is missing: lines on stderr say the same.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    if environment.get("JOURNAL_STREAM") != f"{found.st_dev}:{found.st_ino}":
        return None
    try:
        from pystemd.journal import sendv  # noqa: PLC0415 - only services need it
    except ImportError:
        return None
    common = {"SYSLOG_IDENTIFIER": PROGRAM, "SYSLOG_PID": str(os.getpid()), **_unit(Path("/proc/self/cgroup"))}
    return lambda fields: sendv(**common, **fields)


def debug(event: str, **values: object) -> None:
    """Say what only somebody who looks for a fault wants to know."""
    _say(logging.DEBUG, event, values)


def info(event: str, **values: object) -> None:
    """Say what was done."""
    _say(logging.INFO, event, values)


def warning(event: str, **values: object) -> None:
    """Say what may give trouble."""
    _say(logging.WARNING, event, values)


def error(event: str, **values: object) -> None:
    """Say what went wrong, where work goes on nevertheless."""
    _say(logging.ERROR, event, values)


# How every complaint begins, by which it is found again in the journal.
COMPLAINT = "darlingbuilder: "


def complain(text: str) -> None:
    """Say on stderr why a command has failed; in the journal each line is an error (sd-daemon(3))."""
    mark = f"<{_PRIORITIES['error']}>" if _send else ""
    sys.stderr.write("".join(f"{mark}{line}\n" for line in text.splitlines()))


def _say(level: int, event: str, values: Mapping[str, object]) -> None:
    if level < _level:
        return
    # It takes longer to import than most commands have to say something: 65 ms of a converged init's 250.
    import structlog  # noqa: PLC0415 - as above

    logger = structlog.wrap_logger(
        _Journal(_send) if _send else structlog.PrintLogger(sys.stderr),
        processors=[_fields if _send else _line],
        wrapper_class=structlog.BoundLogger,
    )
    getattr(logger, logging.getLevelName(level).lower())(event, **values)


class _Journal:
    """What structlog hands an event to: its own methods are the levels, which are a field already."""

    def __init__(self, send: Send) -> None:
        self._sender = send

    def debug(self, **fields: str) -> None:
        self._sender(fields)

    info = warning = error = debug


def _fields(_logger: object, level: str, event: MutableMapping[str, Any]) -> tuple[tuple[()], dict[str, str]]:
    """Render ``event`` as fields of the journal: its line as the message, and each of its keys."""
    keys = {_field(key): str(value) for key, value in event.items() if key != "event"}
    return (), {"MESSAGE": _shown_event(event), "PRIORITY": str(_PRIORITIES[level]), **keys}


def _field(key: str) -> str:
    return f"{FIELD}{re.sub('[^A-Z0-9_]', '_', key.upper())}"[:_LONGEST_FIELD]


def _unit(cgroup: Path) -> dict[str, str]:
    """Name the service that we belong to: of a process that has ended the journal could not find it out any more."""
    try:
        name = cgroup.read_text(encoding="utf-8").strip().rpartition("/")[2]
    except OSError:
        return {}
    return {"OBJECT_SYSTEMD_UNIT": name} if name.endswith(".service") else {}


def _line(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
    """Render ``event`` as «event key=value …», its level before it where that says something."""
    told = "" if level == "info" else f"{level}: "
    return told + _shown_event(event)


def _shown_event(event: Mapping[str, Any]) -> str:
    values = [f"{key}={_shown(value)}" for key, value in event.items() if key != "event"]
    return " ".join([str(event["event"]), *values])


def _shown(value: object) -> str:
    text = str(value)
    # Some of it comes from the guest: nothing of that may look like a line of ours.
    return text if text and text.isprintable() and " " not in text else repr(text)
