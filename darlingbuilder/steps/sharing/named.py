"""What a running build names of a store: on its command lines, and in the files that Nix makes for it."""

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.darling import Darling
from darlingbuilder.core.errors import GuestPathError
from darlingbuilder.core.storepath import PATTERN
from darlingbuilder.core.tree import Tree

# Where Nix puts «passAsFile» (.attr-…) and «__structuredAttrs» (.attrs.json, .attrs.sh) in a build's directory.
_TOP = "NIX_BUILD_TOP="
_ATTRIBUTES = ".attr"
# A build can make as many of them, and as large, as it likes.
_MOST_FILES, _MOST_NAMES, _MOST_BYTES = 100, 1000, 1 << 22
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def named(darling: Darling) -> AbstractSet[str]:
    """Find the store paths that running builds name and have, perhaps, nowhere else.

    What they have in their environment Nix's collector on the host finds itself.
    """
    processes = darling.processes()
    words = {word for one in processes for word in one.arguments}
    tops = {
        os.path.normpath(word.removeprefix(_TOP))
        for one in processes
        for word in procfs.environment(one.pid)
        if word.startswith(f"{_TOP}/")
    }
    if tops:
        words.update(text for top in tops for text in _texts(darling.files(), Path(top)))
    return {path for word in words for path in re.findall(PATTERN, word)}


def _texts(files: Tree, top: Path) -> Iterator[str]:
    with contextlib.suppress(OSError, GuestPathError), files.descriptor(top) as place:
        with os.scandir(place) as entries:
            names = [one.name for one in itertools.islice(entries, _MOST_NAMES) if one.name.startswith(_ATTRIBUTES)]
        for name in names[:_MOST_FILES]:
            yield _text(place, name)


def _text(place: int, name: str) -> str:
    with contextlib.suppress(OSError), os.fdopen(os.open(name, _FLAGS, dir_fd=place), "rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read(_MOST_BYTES).decode(errors="replace")
    return ""
