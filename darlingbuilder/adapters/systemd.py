"""systemd over D-Bus, by pystemd, which is imported when it is first needed."""

import enum
from dataclasses import dataclass
from typing import Protocol


class Activity(enum.Enum):
    """The ActiveState of a unit."""

    ACTIVE = "active"
    RELOADING = "reloading"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as systemd sees it. ``since``: when it became active, in seconds of the epoch, 0 if never."""

    activity: Activity
    sub: str
    load: str
    file_state: str
    since: float
    needs_reload: bool
    main_pid: int
    status_text: str
    restarts: int
    outcome: str


class Systemd(Protocol):
    """What the builder asks of systemd. Every call raises SystemdError if the bus cannot be reached."""

    def unit(self, name: str) -> UnitState:
        """Describe ``name``; one that is not there is inactive, with a load state of «not-found»."""

    def start(self, name: str) -> None:
        """Start ``name`` and wait for the job. Raises SystemdError with the journal's last lines if it fails."""

    def stop(self, name: str) -> None:
        """Stop ``name`` and wait for the job. Succeeds if it is not running."""

    def restart(self, name: str) -> None:
        """Restart ``name``, or start it, and wait for the job."""

    def try_restart(self, name: str) -> None:
        """Restart ``name`` if it runs, and wait for the job. Succeeds if there is no such unit."""

    def reload(self) -> None:
        """Make systemd read its unit files again (daemon-reload)."""

    def enable(self, name: str) -> None:
        """Have ``name`` started at boot; a mask is taken off first."""

    def disable(self, name: str) -> None:
        """Undo ``enable``. Succeeds if there is no such unit."""

    def reset_failed(self, name: str) -> None:
        """Forget that ``name`` has failed. Succeeds if there is no such unit."""
