"""Every error that a user may see, each class owning its exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``darlingbuilder``; the documentation lists the same."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DRIFT = 3
    CONFIG = 4
    PREREQUISITE = 5
    INTERRUPTED = 130


class BuilderError(Exception):
    """Something that was tried and failed. ``hint`` says what to do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


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
    """A path in the guest leads elsewhere: its user has put a link or a file where a directory belongs."""


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


class NixError(BuilderError):
    """The host's Nix did not do what was asked."""
