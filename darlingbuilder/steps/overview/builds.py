"""The builds that run in the guest, as the host sees them: the sessions of its Nix, and what these hold open."""

import re
from pathlib import PurePath

import msgspec

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.darling import Darling
from darlingbuilder.adapters.procfs import Process

# A session of the host's Nix is one of these in the guest: for ssh-ng, for ssh.
SESSIONS = frozenset({"nix-daemon", "nix-store"})
_NAME = r"[0-9A-Za-z+._?=-]{1,211}"
# While it builds, Nix has the derivation's log open (not for ssh, which keeps none), and holds its outputs' locks.
_LOG = re.compile(rf"/nix/var/log/nix/drvs/([0-9a-z]{{2}})/([0-9a-z]{{30}}-{_NAME}\.drv)(\.bz2)?\Z")
_LOCK = re.compile(rf"/nix/store/([0-9a-z]{{32}}-{_NAME})\.lock\Z")
_STORE = "/nix/store"


class Build(msgspec.Struct, frozen=True):
    """A session of the host's Nix in the guest.

    ``derivation``: what it builds, null for one that came by ssh://, of which the ``outputs`` alone are known; where
    there are neither, it copies or asks. ``since``: when the builder began, or the session; epoch seconds.
    """

    pid: int
    derivation: str | None
    outputs: list[str]
    since: float | None


def running(darling: Darling) -> list[Build]:
    """List the sessions, the oldest first. All of it comes from guest processes, whose user may lie."""
    processes = darling.processes()
    found = [
        _build(one, [child for child in processes if child.parent == one.pid])
        for one in processes
        if PurePath(one.arguments[0]).name in SESSIONS
    ]
    return sorted(found, key=lambda build: (build.since or 0.0, build.pid))


def _build(session: Process, children: list[Process]) -> Build:
    held = procfs.open_files(session.pid)
    derivations = [f"{_STORE}/{log[1]}{log[2]}" for path in held if (log := _LOG.search(path))]
    locked = [f"{_STORE}/{lock[1]}" for path in held if (lock := _LOCK.search(path))]
    begun = [when for one in (children or [session]) if (when := procfs.started(one.pid))]
    return Build(
        pid=session.pid,
        derivation=min([*derivations, *(path for path in locked if path.endswith(".drv"))], default=None),
        outputs=sorted(path for path in locked if not path.endswith(".drv")),
        since=min(begun, default=None),
    )
