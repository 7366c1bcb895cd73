"""systemd as the builder sees it: what it says of units and of itself, what is asked of it, and what it is told."""

import enum
import signal
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
    MAINTENANCE = "maintenance"
    REFRESHING = "refreshing"


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as systemd sees it. ``since``: when it last became active, in seconds of the epoch, 0 if never.

    ``nofile``: its soft limit of open files, whoever has set it, None for no limit or no service. ``drop_ins``: the
    files that change it. ``outcome``, ``ended``: how it fared («exit-code», say) and how its main process ended
    («status 1», «signal KILL»); the latter is forgotten when it is started anew.
    """

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
    nofile: int | None
    drop_ins: tuple[str, ...]
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Manager:
    """systemd itself.

    ``stopping``: the machine goes down; ``stop_seconds``: what a unit by default gets to stop, None for no limit.
    """

    stopping: bool
    stop_seconds: float | None


class Systemd(Protocol):
    """What the builder asks of systemd. Every call raises SystemdError if the bus cannot be reached."""

    def unit(self, name: str) -> UnitState:
        """Describe ``name``; one that is not there is inactive, with a load state of «not-found»."""

    def manager(self) -> Manager:
        """Describe systemd itself."""

    def start(self, name: str) -> None:
        """Start ``name`` and wait for the job. Raises SystemdError with the journal's last lines if it fails."""

    def stop(self, name: str) -> None:
        """Stop ``name`` and wait for the job. Succeeds if it is not running."""

    def begin_stop(self, name: str) -> None:
        """Have ``name`` stopped, and do not wait for it. Succeeds if there is no such unit."""

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

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the main process of ``name``. Succeeds if there is none."""


def notify(*lines: str) -> None:
    """Tell systemd the state of this service, as sd_notify(3); nothing if it did not start us."""
    from pystemd.daemon import notify as sd_notify  # noqa: PLC0415 - pystemd is needed by a service alone

    sd_notify(False, *lines)  # noqa: FBT003 - pystemd's own signature: keep the environment
