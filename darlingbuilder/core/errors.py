"""Every error that a user may see, each class owning its exit code."""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The exit codes of ``darlingbuilder``, each with its ``meaning`` as the documentation gives it."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a number that says what it means."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done, or nothing to do"
    FAILED = 1, "tried and failed"
    USAGE = 2, "the command line cannot be meant as it is"
    DRIFT = 3, "status and init --dry-run: there is a difference"
    CONFIG = 4, "a setting is wrong"
    PREREQUISITE = 5, "the machine lacks a prerequisite"
    INTERRUPTED = 130, "interrupted; the next init goes on from there"


class BuilderError(Exception):
    """Something that was tried and failed. ``hint`` says what to do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class InterruptionError(BuilderError):
    """The command was ended by a signal or by Ctrl-C before it had done all."""

    exit_code = ExitCode.INTERRUPTED


class UsageError(BuilderError):
    """The command line cannot be meant as it is."""

    exit_code = ExitCode.USAGE


class ConfigError(BuilderError):
    """A setting is wrong: unknown, of the wrong type, or at odds with another."""

    exit_code = ExitCode.CONFIG


class PrerequisiteError(BuilderError):
    """Something that the machine must bring along is missing."""

    exit_code = ExitCode.PREREQUISITE


class ForeignFileError(BuilderError):
    """A file or directory is in the way that darlingbuilder did not make."""


class GuestPathError(BuilderError):
    """A path in the guest is not what it was: its user has put a link or a file there, or one too long to read."""


class KeyFileError(BuilderError):
    """A key file cannot be used, and is never replaced."""


class LockedError(BuilderError):
    """Another ``init`` or ``uninstall`` is at work."""


class CommandError(BuilderError):
    """A program on the host ended with an error."""


class DarlingError(BuilderError):
    """The launcher, or what it boots, did not do what was asked."""


class SystemdError(BuilderError):
    """systemd refused, or a job of its own failed."""


class AbsentUnitError(SystemdError):
    """systemd refused because there is no such unit, or no process of it."""


class CanceledJobError(SystemdError):
    """A job of systemd's gave way to one that somebody else wanted."""


class NixError(BuilderError):
    """The host's Nix did not do what was asked."""
