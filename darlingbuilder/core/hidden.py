"""What the unit's walls hide from serve: the homes, and the temporary files of others."""

from pathlib import Path

# What ProtectHome= of systemd.exec(5) covers, and PrivateTmp=, PrivateDevices= and the unit's TemporaryFileSystem=.
_HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
_TEMPORARY = tuple(map(Path, ("/tmp", "/var/tmp", "/dev")))  # noqa: S108 - nothing is written there
# Where the directories of homes are kept; root's home is one itself.
_SEVERAL = frozenset(map(Path, ("/home", "/run/user")))


def is_at_home(path: Path) -> bool:
    """Whether ``path`` lies in a home."""
    return any(home in path.parents for home in _HOMES)


def is_a_home(path: Path) -> bool:
    """Whether ``path`` is a whole home, or where they are kept."""
    return path in _HOMES or path.parent in _SEVERAL


def is_temporary(path: Path) -> bool:
    """Whether ``path`` lies where serve finds directories of its own."""
    return any(directory in path.parents for directory in _TEMPORARY)
