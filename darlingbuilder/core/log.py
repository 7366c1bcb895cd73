"""What the tool says of its work, on stderr; results are printed elsewhere."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog


def configure(*, level: int) -> None:
    """Log events of ``level`` and above to stderr, one plain line each."""
    structlog.configure(
        processors=[_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def level_of(*, verbose: bool, quiet: bool) -> int:
    """Choose the level that the flags ask for."""
    if verbose:
        return logging.DEBUG
    return logging.WARNING if quiet else logging.INFO


def _line(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
    """Render ``event`` as «event key=value …», its level before it where that says something."""
    values: Mapping[str, Any] = {key: value for key, value in event.items() if key != "event"}
    told = "" if level == "info" else f"{level}: "
    return " ".join([f"{told}{event['event']}", *(f"{key}={_shown(value)}" for key, value in values.items())])


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text
