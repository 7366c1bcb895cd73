"""Which files are locked by flock(2), seen without touching a lock: whoever tries one has it for a moment."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_LOCKS = Path("/proc/locks")
_FIELDS = 6


def held(files: Iterable[Path]) -> set[Path]:
    """Pick those of ``files`` that somebody holds an exclusive lock on, as far as this process can see him."""
    wanted = {path: found for path in files if (found := _stat(path))}
    locks = set(_exclusive_locks()) if wanted else set()
    return {path for path, found in wanted.items() if any(_is_of(lock, found) for lock in locks)}


def holders(files: Iterable[Path]) -> set[int]:
    """List the processes that hold an exclusive lock on one of ``files``, as far as this process can see them."""
    wanted = [found for path in files if (found := _stat(path))]
    locks = set(_exclusive_locks()) if wanted else set()
    return {lock[0] for lock in locks if any(_is_of(lock, found) for found in wanted)}


def can_be_seen() -> bool:
    """Whether this process sees any locks at all: without that, ``held`` finds none."""
    return os.access(_LOCKS, os.R_OK)


def _exclusive_locks() -> Iterator[tuple[int, str, int]]:
    """List holder, device and inode of each, as proc_locks(5) has them; «->» marks one who waits."""
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > _FIELDS and words[1] == "FLOCK" and words[3] == "WRITE":
            device, _, inode = words[5].rpartition(":")
            yield int(words[4]), device, int(inode)


def _is_of(lock: tuple[int, str, int], found: os.stat_result) -> bool:
    holder, device, inode = lock
    if inode != found.st_ino:
        return False
    named = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    # Btrfs and overlayfs tell stat(2) of another device than the lock's: there the holder's own view decides.
    return device == named or any(os.path.samestat(one, found) for one in _open_files(holder))


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    yield from (found for one in descriptors if (found := _stat(one)))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
