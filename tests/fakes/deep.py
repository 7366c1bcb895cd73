"""Directories deeper than any limit, as a build can make them, and few descriptors to go through them with."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

# Python's limit of recursion is 1000; a path of that many names is longer than PATH_MAX.
DEPTH = 3000
NAME = "dd"


def dig(top: Path, *, depth: int = DEPTH) -> None:
    """Nest ``depth`` directories in ``top``, with a file and a link beside each hundredth, and in the last one."""
    here = os.open(top, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(NAME, dir_fd=here)
        here = _gone_into(here)
        if level % 100 == 0 or level == depth - 1:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
            os.symlink("/etc", "link", dir_fd=here)
    os.close(here)


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """Have room for ten more open files than there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(highest + 10, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _gone_into(here: int) -> int:
    inner = os.open(NAME, os.O_RDONLY, dir_fd=here)
    os.close(here)
    return inner
