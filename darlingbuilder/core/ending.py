"""How a process ended, in words: by a status of its own, or by a signal."""

import signal


def by_status(status: int) -> str:
    """Say that a process gave ``status``."""
    return f"status {status}"


def told(code: int) -> str:
    """Say how a process ended whose exit code, as Python gives it, is ``code``: a signal's is negative."""
    return f"was ended by {by_signal(-code)}" if code < 0 else f"gave {code}"


def by_signal(number: int) -> str:
    """Say that signal ``number`` ended a process, by its name."""
    named = signal.Signals(number).name.removeprefix("SIG") if number in set(signal.Signals) else str(number)
    return f"signal {named}"
