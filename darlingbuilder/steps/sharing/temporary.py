"""The lists in which Nix's running processes write down what is not to be collected (libstore, gc.cc)."""

import contextlib
import fcntl
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from darlingbuilder.core.storepath import is_store_path

DIRECTORY = Path("nix/var/nix/temproots")
# Who sends a large closure has a list of some MB; the guest's user could make one without an end.
_MOST_LISTS = 1000
_MOST_BYTES = 1 << 25
# There may be a link or a pipe.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Used(msgspec.Struct, frozen=True):
    """What is used at a moment. ``lists``: how many processes say so."""

    lists: int
    paths: frozenset[str]


def read(directory: Path) -> Used:
    """Read the lists of the processes that live; made by a process that is the guest's user."""
    lists = list(_living(directory))
    words = {word.decode(errors="replace") for content in lists for word in content.split(b"\0")}
    return Used(len(lists), frozenset(filter(is_store_path, words)))


def stamps(directory: int) -> frozenset[tuple[str, int, int]]:
    """Tell the lists in the open ``directory`` from what they were: they grow, and new ones are other files."""
    with os.scandir(directory) as entries:
        return frozenset(
            (entry.name, found.st_ino, found.st_size)
            for entry in itertools.islice(entries, _MOST_LISTS)
            if (found := _stat(entry))
        )


def _living(directory: Path) -> Iterator[bytes]:
    try:
        place = os.open(directory, _DIRECTORY_FLAGS)
    except OSError:
        return  # no Nix has run there yet
    left = _MOST_BYTES
    try:
        with os.scandir(place) as entries:
            for entry in itertools.islice(entries, _MOST_LISTS):
                content = _content(place, entry.name, left)
                left -= len(content or b"")
                if content is not None:
                    yield content
    finally:
        os.close(place)


def _content(place: int, name: str, most: int) -> bytes | None:
    """Read the list ``name``; None if it is none, or that of a process that has ended: its lock is free then."""
    with contextlib.suppress(OSError), os.fdopen(os.open(name, _FLAGS, dir_fd=place), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        try:
            # Shared, for a moment: a collector that meets us here takes the list for one in use, as it would anyway.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(most)
    return None


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None
