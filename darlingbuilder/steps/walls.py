"""What the unit's sandbox has to leave open for this builder: its own directories, and what lies in a home."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import darlingbuilder
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings

# What ProtectHome= of systemd.exec(5) covers.
_HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))


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
    paths = Paths(settings)
    writable = _outermost([paths.state, paths.prefix.parent])
    read = [Path(program).parent, Path(sys.prefix), Path(sys.base_prefix), Path(darlingbuilder.__file__).parent]
    read += [paths.key, *([Path(settings.darling).parent] if settings.darling else [])]
    return Openings(
        writable=tuple(path for path in writable if not _is_at_home(path)),
        writable_at_home=tuple(path for path in writable if _is_at_home(path)),
        at_home=tuple(_outermost(path for path in read if _is_at_home(path))),
        host_database=settings.shares_store,
        lock=settings.ephemeral or settings.shares_store,
    )


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Give ``paths`` without those that lie in another one, in order."""
    distinct = sorted(set(paths))
    return [path for path in distinct if not any(other in path.parents for other in distinct)]


def _is_at_home(path: Path) -> bool:
    return any(home in path.parents for home in _HOMES)
