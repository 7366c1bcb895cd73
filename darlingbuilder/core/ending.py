"""How a process ended, in words: by a status of its own, or by a signal."""

import signal


def by_status(status: int) -> str:
    """Say that a process gave ``status``."""
    return f"status {status}"


def by_signal(number: int) -> str:
    """Say that signal ``number`` ended a process, by its name."""
    named = signal.Signals(number).name.removeprefix("SIG") if number in set(signal.Signals) else str(number)
    return f"signal {named}"
