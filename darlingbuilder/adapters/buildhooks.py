"""The build hooks of this machine's Nix: which know an old machines line only, and how all of them are made to wait.

Read in build-remote.cc and ssh.cc of 2.8.0, 2.26.3 and 2.34.8, which all agree that

- a hook reads the machines when it starts, and never again. One that finds no free slot, or no machine for what it is
  asked, lives on and is asked again, for hours where a build is that long;
- to choose a machine it takes ``current-load/main-lock``, and lets it go before it connects; the lock of the slot
  that it has found it keeps until the build has ended;
- for each connection it starts an ssh, which reads the key file then.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from darlingbuilder.adapters import flocks, procfs
from darlingbuilder.core import lock, wait
from darlingbuilder.core.errors import NixError

# «nix __build-remote» since 2.19; a program of its own before.
_HOOKS = frozenset({"build-remote", "__build-remote"})
_MAIN_LOCK = "main-lock"
_SECONDS_FOR_LOCK = 30.0
# A login takes 0.37 s in a Darling guest, and many times that where many come at once on a busy machine. Meanwhile
# nobody's build begins. Who has no session by then will have none; a master connection of Nix's own has none, either.
_SECONDS_TO_LOG_IN = 30.0
# A hook reads the machines a moment after its start.
_SECONDS_TO_READ = 1.0


class BuildHooks(Protocol):
    """Those who connect to the builder for Nix."""

    def ignorant(self, since: float) -> list[int]:
        """List those that may have read the machines before ``since``, in epoch seconds, and are yet to connect."""

    def held(self) -> AbstractContextManager[None]:
        """Let none of them begin to connect meanwhile; those that had begun are connected at the start.

        Builds that are connected go on, others wait; those for other machines, too: keep it short. Raises NixError.
        """


@dataclass(frozen=True, slots=True)
class NixHooks:
    """The hooks of the Nix whose ``current-load`` is ``directory``, as far as they connect to ``alias``."""

    directory: Path
    alias: str
    seconds_to_log_in: float = _SECONDS_TO_LOG_IN

    def ignorant(self, since: float) -> list[int]:
        """See BuildHooks. One that has an ssh has its machine."""
        everything = procfs.everything()
        connected = {found.parent for found in everything if _is_ssh(found)}
        hooks = (found.pid for found in everything if _is_hook(found) and found.pid not in connected)
        begun = ((pid, procfs.started(pid)) for pid in hooks)
        return [pid for pid, when in begun if when and when < since + _SECONDS_TO_READ]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """See BuildHooks."""
        try:
            descriptor = os.open(self.directory / _MAIN_LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:  # no hook has ever run
            yield
            return
        try:
            if not wait.until(lambda: lock.taken(descriptor), seconds=_SECONDS_FOR_LOCK):
                raise NixError(
                    f"{self.directory / _MAIN_LOCK} is not to be had within {_SECONDS_FOR_LOCK:g} s",
                    hint=f"Nix holds it for moments only; see who does now: fuser {self.directory / _MAIN_LOCK}",
                )
            wait.until(lambda: not self._logging_in(), seconds=self.seconds_to_log_in)
            yield
        finally:
            os.close(descriptor)

    def _logging_in(self) -> bool:
        """Whether somebody has chosen the builder and is not in: a hook without an ssh, or an ssh on its way."""
        # Who has a slot is asked first: who gets an ssh after that is among the processes.
        slots = flocks.holders(self.directory.glob(f"*{self.alias}*-[0-9]*"))
        everything = procfs.everything()
        connected = {found.parent for found in everything if _is_ssh(found)}
        return any(found.pid in slots - connected and _is_hook(found) for found in everything) or any(
            self._is_on_its_way(found) for found in everything
        )

    def _is_on_its_way(self, found: procfs.Process) -> bool:
        """Whether it is an ssh to the builder that has no session yet, and may still read its key."""
        if not _is_ssh(found) or not any(word.rpartition("@")[2] == self.alias for word in found.arguments):
            return False
        # For its session ssh makes copies of its standard descriptors (ssh_session2_open), and not before.
        age = time.time() - (procfs.started(found.pid) or 0.0)
        return age < self.seconds_to_log_in and not procfs.copies_stdin(found.pid)


def _is_hook(found: procfs.Process) -> bool:
    return not found.zombie and any(PurePath(word).name in _HOOKS for word in found.arguments[:2])


def _is_ssh(found: procfs.Process) -> bool:
    return found.name == "ssh" and not found.zombie
