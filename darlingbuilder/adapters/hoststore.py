"""The directory of the host's store, to be written in even where it is mounted read-only."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from darlingbuilder.adapters import mountcalls
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.paths import STORE
from darlingbuilder.core.tree import Tree


@contextlib.contextmanager
def writable() -> Iterator[Tree]:
    """Give the store; as NixOS mounts it, a clone of that mount that is ours alone. Nix does alike."""
    try:
        place = os.open(STORE, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise PrerequisiteError(f"{STORE}: absent; the host has no Nix", hint="install Nix") from None
    try:
        if os.fstatvfs(place).f_flag & os.ST_RDONLY:
            clone = mountcalls.clone(place)
            os.close(place)
            place = clone
            mountcalls.make_writable(place)
        yield Tree(Path(f"/proc/self/fd/{place}"))
    finally:
        os.close(place)
