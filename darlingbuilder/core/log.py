"""What the tool says of its work, on stderr; results are printed elsewhere."""

import logging
import os
import sys

import structlog


def configure(*, level: int) -> None:
    """Log events of ``level`` and above to stderr: for people on a terminal, one plain line elsewhere."""
    terminal = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0, sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def level_of(*, verbose: bool, quiet: bool) -> int:
    """Choose the level that the flags ask for."""
    if verbose:
        return logging.DEBUG
    return logging.WARNING if quiet else logging.INFO
