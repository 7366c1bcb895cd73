"""What is costly to make and never changes afterwards, made once per key below ~/.cache/darlingbuilder."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .commands import run


def digest(*parts: str) -> str:
    """Name a set of ingredients by a short hash."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the directory ``kind/key``; let ``make`` fill it first if it is not there yet.

    ``make`` gets an empty directory that takes its final name only when ``make`` has returned, so whatever
    bears the final name is whole. Of two processes that want the same key the second one waits.
    """
    final = home() / kind / key
    if final.is_dir():
        return final
    with _locked(home() / "locks" / f"{kind}-{key}"):
        if not final.is_dir():
            _make(final, make)
    return final


def home() -> Path:
    """Name the directory that holds it all."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darlingbuilder"


def _make(final: Path, make: Callable[[Path], None]) -> None:
    unfinished = final.with_name(f".{final.name}.unfinished")
    # Left by a process that was killed: the lock says that nobody works on it any more.
    discard(unfinished)
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
        unfinished.rename(final)
    except BaseException:
        discard(unfinished)
        raise


def discard(directory: Path) -> None:
    """Remove a directory tree that may not be there."""
    if not directory.exists():
        return
    # rm copes with what rmtree stumbles over: store paths without write permission are no hurdle for
    # root, but a machine's upper layer may hold immutable or endlessly deep trees made by a test.
    run(("rm", "--recursive", "--force", "--one-file-system", str(directory)), timeout=300)
    if directory.exists():
        shutil.rmtree(directory)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
