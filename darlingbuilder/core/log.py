"""What the tool says of its work, on stderr, by structlog; results are printed elsewhere."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

# Events below this level are not said; ``configure`` sets it.
_level = logging.INFO


def configure(*, verbose: bool, quiet: bool) -> None:
    """Choose what is said from now on: all, or warnings alone, or what a user wants to know."""
    global _level  # noqa: PLW0603 - one process, one stderr
    _level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO


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


def _say(level: int, event: str, values: Mapping[str, object]) -> None:
    if level < _level:
        return
    # It takes longer to import than most commands have to say something: 65 ms of a converged init's 250.
    import structlog  # noqa: PLC0415 - as above

    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr), processors=[_line], wrapper_class=structlog.BoundLogger
    )
    getattr(logger, logging.getLevelName(level).lower())(event, **values)


def _line(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
    """Render ``event`` as «event key=value …», its level before it where that says something."""
    values = [f"{key}={_shown(value)}" for key, value in event.items() if key != "event"]
    told = "" if level == "info" else f"{level}: "
    return " ".join([f"{told}{event['event']}", *values])


def _shown(value: object) -> str:
    text = str(value)
    # Some of it comes from the guest: nothing of that may look like a line of ours.
    return text if text and text.isprintable() and " " not in text else repr(text)
