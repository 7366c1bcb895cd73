"""A prefix for the probes alone: made for ``doctor``, booted once, and gone afterwards whatever happens."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from darlingbuilder.adapters import process
from darlingbuilder.adapters.darling import Darling
from darlingbuilder.adapters.process import TIMED_OUT, Account, Completed
from darlingbuilder.core import ending
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.plain import plain
from darlingbuilder.core.together import LONGEST_PREFIX
from darlingbuilder.steps.prerequisites.finding import Finding, Surroundings, Verdict, found, warning
from darlingbuilder.steps.prerequisites.place import existing

Seen = TypeVar("Seen")

# What all probes may take together, and one boot. A first one takes 2 s; Darling itself gives up after 15 (FACTS).
SECONDS = 60.0
BOOT_SECONDS = 15.0
# One for asking the launcher's version, which makes a prefix and spoils it; two for booting.
VERSION, FIRST, SECOND = "v", "a", "b"
PREFIXES = frozenset({VERSION, FIRST, SECOND})
_NAME = ".darlingbuilder-doctor-"
_LONGEST_INSIDE = len(f"/{_NAME}12345678/guest/a")
# The service user may not be there yet.
_FALLBACK = "nobody"
# A launcher that prints without end must not fill the disk; nothing that a probe needs is as large.
_LARGEST_FILE = 64 * 2**20
_SHOWN = 120


class UnseenError(BuilderError):
    """A probe could not be made, which says nothing of what it probes."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A directory with room for prefixes of ``account``, and what the probes have seen there until now."""

    surroundings: Surroundings
    directory: Path
    account: Account
    deadline: float
    _seen: dict[object, Any] = field(default_factory=dict)

    def once(self, observe: Callable[["Scratch"], Seen]) -> Seen:
        """Give what ``observe`` sees here, or raise what it raises; it looks once, however many ask."""
        if observe not in self._seen:
            try:
                self._seen[observe] = observe(self)
            except (BuilderError, OSError) as error:
                self._seen[observe] = error
        seen = self._seen[observe]
        if isinstance(seen, BuilderError | OSError):
            raise seen
        return seen  # type: ignore[no-any-return] # the dictionary knows no types

    def darling(self, name: str) -> Darling:
        """Give the launcher for the prefix ``name`` in here."""
        prefix = self.surroundings.world.host.real(self.directory / "guest" / name)
        return self.surroundings.world.darling.at(
            prefix, user=self.account.name, boot_timeout=self.left(BOOT_SECONDS)
        )

    @property
    def keys(self) -> Path:
        """A directory that root alone may enter."""
        return self.surroundings.world.host.real(self.directory / "keys")

    def log(self, name: str) -> Path:
        """Name the file for what ``name`` prints."""
        return self.keys / f"{name}.log"

    def left(self, seconds: float) -> float:
        """Give the part of ``seconds`` that is still there for all. Raises UnseenError if nothing is."""
        left = min(seconds, self.deadline - time.monotonic())
        if left <= 0:
            raise UnseenError(
                f"not looked at: the {SECONDS:g} s for all probes have passed", hint="see to the failures first"
            )
        return left


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try on the Darling itself. ``meaning``: what it says for builds; ``link``: where to read more."""

    name: str
    meaning: str
    look: Callable[[Scratch], Verdict]
    link: str

    def find(self, scratch: Scratch) -> Finding:
        """Give what the probe sees; one that cannot be made is a warning."""
        try:
            verdict = self.look(scratch)
        except BuilderError as error:
            return self.unseen(error)
        except OSError as error:
            return self.unseen(UnseenError(f"cannot be looked at: {error}", hint="dmesg may say more"))
        return found(self.name, self.meaning, self.link, verdict)

    def unseen(self, error: BuilderError) -> Finding:
        """Give the finding that this could not be looked at."""
        return found(self.name, self.meaning, self.link, warning(str(error), error.hint))


@contextlib.contextmanager
def made(surroundings: Surroundings) -> Iterator[Scratch]:
    """Give a place for prefixes; container and directory are gone afterwards, also when it is interrupted."""
    account = _account(surroundings)
    directory = _home(surroundings) / f"{_NAME}{secrets.token_hex(4)}"
    host = surroundings.world.host
    try:
        host.make_directory(directory / "guest", mode=0o700, owner=account.owner)
        host.make_directory(directory / "keys", mode=0o700)
        scratch = Scratch(surroundings, directory, account, time.monotonic() + SECONDS)
        with process.limits(open_files=surroundings.settings.nofile, file_size=_LARGEST_FILE):
            yield scratch
    finally:
        _remove(surroundings, directory, account)


def shown(text: str) -> str:
    """Give what a program has printed, short and on one line, whatever it holds."""
    words = " / ".join(line.strip() for line in text.strip().splitlines() if line.strip())
    return plain(words) if len(words) <= _SHOWN else f"{plain(words[:_SHOWN])}…"


def outcome(said: Completed, seconds: float) -> str:
    """Say how a call of the launcher has ended, and what it has printed."""
    if said.code == TIMED_OUT:
        ended = f"no end within {seconds:.1f} s"
    elif said.code < 0:
        ended = f"ended by {ending.by_signal(-said.code)}"
    else:
        ended = ending.by_status(said.code)
    told = shown(said.stdout[-4096:]) or shown(said.stderr[-4096:])
    return f"{ended}, printed: {told}" if told else f"{ended}, printed nothing"


def tail(log: Path) -> str:
    """Give the end of what was printed into ``log``, for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1024))
            return shown(file.read().decode(errors="replace"))
    except OSError:
        return ""


def _account(surroundings: Surroundings) -> Account:
    accounts, user = surroundings.world.accounts, surroundings.settings.user
    account = accounts.find(user) or accounts.find(_FALLBACK)
    if account is None or account.owner.uid == 0:
        raise UnseenError(
            f"not looked at: there is no ordinary user to run a guest as, neither {user} nor {_FALLBACK}",
            hint="make one: darlingbuilder init",
        )
    return account


def _home(surroundings: Surroundings) -> Path:
    """Find a directory on the state's file system in which a prefix has a path that is short enough."""
    host = surroundings.world.host
    nearest = existing(host, Path(surroundings.settings.state))
    if not host.real(nearest).is_dir():
        nearest = nearest.parent
    device = host.real(nearest).stat().st_dev
    for candidate in (nearest, *nearest.parents):
        if host.real(candidate).stat().st_dev != device:
            break
        if len(os.fsencode(candidate)) + _LONGEST_INSIDE <= LONGEST_PREFIX:
            return candidate
    raise UnseenError(
        f"not looked at: a prefix below {nearest} would have more than {LONGEST_PREFIX} bytes in its path",
        hint="choose a shorter «state»",
    )


def _remove(surroundings: Surroundings, directory: Path, account: Account) -> None:
    host = surroundings.world.host
    with contextlib.ExitStack() as stack:
        stack.callback(host.remove, directory)
        for name in set(host.names(directory / "guest")) & PREFIXES:
            prefix = host.real(directory / "guest" / name)
            # Whatever becomes of one, the others and the directory are still seen to.
            stack.callback(surroundings.world.darling.at(prefix, user=account.name, boot_timeout=1).shutdown)
