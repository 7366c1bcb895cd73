"""Trees of directories gone through and removed, however deep: no recursion, few descriptors, no link followed.

The guest's user can make one that is deeper than any limit of ours, and move what is in it while we are there.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from darlingbuilder.core.errors import GuestPathError
from darlingbuilder.core.plain import plain

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Above:
    """A directory on the way: which it is, which name we took there, and which ones are left to take."""

    identity: tuple[int, int]
    taken: str
    left: list[str]


@dataclass(slots=True)
class Descent:
    """A place in a tree: the open directory ``here``, and the names in it that are ``left`` to look at."""

    here: int
    left: list[str]
    _way: list[_Above] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Name ``here`` as seen from where it began; empty there."""
        return "/".join(above.taken for above in self._way)

    @property
    def is_at_its_end(self) -> bool:
        """Whether nothing is left to look at, here or above."""
        return not self.left and not self._way

    def enter(self, name: str) -> None:
        """Go into the directory ``name`` that is here."""
        inner = _opened(name, self.here)
        self._way.append(_Above(_identity(self.here), name, self.left))
        os.close(self.here)
        self.here = inner
        self.left = os.listdir(inner)  # noqa: PTH208 - by its descriptor

    def leave(self) -> str:
        """Go back to the directory above, and give the name of the one that was left.

        It is found by «..» and not kept open. Raises GuestPathError if that is another one by now.
        """
        above, outer = self._way.pop(), _opened("..", self.here)
        os.close(self.here)
        self.here, self.left = outer, above.left
        if _identity(outer) != above.identity:
            raise _moved(above.taken)
        return above.taken


@contextlib.contextmanager
def below(directory: int, left: list[str] | None = None) -> Iterator[Descent]:
    """Begin in the open ``directory``, with all that is in it, or with the names that are ``left``."""
    began = os.dup(directory)
    place = Descent(began, os.listdir(began) if left is None else left)  # noqa: PTH208 - by its descriptor
    try:
        yield place
    finally:
        os.close(place.here)


def entries(directory: int) -> Iterator[tuple[Descent, str, os.stat_result]]:
    """Give all that lies below the open ``directory``, each as a name ``here``, a directory before what is in it.

    What goes meanwhile is left out, and so is what is in a directory that we may not read.
    """
    with below(directory) as place:
        while not place.is_at_its_end:
            if not place.left:
                place.leave()
                continue
            name = place.left.pop()
            with contextlib.suppress(FileNotFoundError, PermissionError):
                found = os.stat(name, dir_fd=place.here, follow_symlinks=False)
                yield place, name, found
                if stat.S_ISDIR(found.st_mode):
                    place.enter(name)


def remove(parent: int, name: str, *, entering: Callable[[int, str], None] = lambda _here, _name: None) -> None:
    """Remove the file, link or whole directory ``name`` in the open directory ``parent``.

    What something is mounted on is not entered, and fails with an OSError. ``entering`` is told of each directory
    that has something in it, before it is opened.
    """
    with below(parent, [name]) as place:
        while not place.is_at_its_end:
            if not place.left:
                emptied = place.leave()
                os.rmdir(emptied, dir_fd=place.here)
            elif not _removed(place.here, one := place.left.pop()):
                entering(place.here, one)
                place.enter(one)


def _removed(directory: int, name: str) -> bool:
    """Remove ``name`` unless it is a directory with something in it."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
    return True


def _opened(name: str, directory: int) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except NotADirectoryError:
        raise _moved(name) from None


def _identity(directory: int) -> tuple[int, int]:
    found = os.fstat(directory)
    return found.st_dev, found.st_ino


def _moved(name: str) -> GuestPathError:
    return GuestPathError(
        f"{plain(name)}: somebody moves directories while they are gone through",
        hint="stop the builder, and see which processes its user has (ps -u); then try again",
    )
