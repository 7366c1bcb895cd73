"""What the unit's sandbox has to leave open for this builder: its own directories, and what lies in a home."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import darlingbuilder
from darlingbuilder.core.hidden import is_at_home, is_temporary
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Openings:
    """``writable``: where the guest and serve write. ``host_database``: whether serve has to see the host's.

    ``lock``: whether serve takes the lock of all that changes the builder, as ``init`` does. ``at_home`` and
    ``writable_at_home``: what of it all lies in a home directory, a darlingbuilder that pipx has installed for root
    say, and must be shown there.
    """

    writable: tuple[Path, ...]
    writable_at_home: tuple[Path, ...]
    at_home: tuple[Path, ...]
    host_database: bool
    lock: bool


def openings(settings: Settings, program: str) -> Openings:
    """Give what the unit that starts ``program`` must leave open."""
    writable = _written(settings)
    at_home = [path for path in writable if is_at_home(path)]
    read = [Path(program).parent, Path(sys.prefix), Path(sys.base_prefix), Path(darlingbuilder.__file__).parent]
    read += [_of_key(settings), *([Path(settings.darling).parent] if settings.darling else [])]
    return Openings(
        writable=tuple(path for path in writable if path not in at_home),
        writable_at_home=tuple(at_home),
        at_home=tuple(path for path in _outermost(filter(is_at_home, read)) if not _is_within(path, at_home)),
        host_database=settings.shares_store,
        lock=settings.ephemeral or settings.shares_store,
    )


def hides(settings: Settings, path: Path) -> bool:
    """Whether serve cannot see the key file ``path`` from within."""
    if is_temporary(path):
        return True
    return is_at_home(path) and not _is_within(path, [_of_key(settings), *_written(settings)])


def _written(settings: Settings) -> list[Path]:
    paths = Paths(settings)
    return _outermost([paths.state, paths.prefix.parent])


def _of_key(settings: Settings) -> Path:
    # The directory: keys are replaced by renaming, and a file that is bound alone stays the one that it was.
    return Paths(settings).key.parent


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Give ``paths`` without those that lie in another one, in order."""
    distinct = sorted(set(paths))
    return [path for path in distinct if not any(other in path.parents for other in distinct)]


def _is_within(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)
