"""What a store path looks like, and where it lies below a store's root."""

import re
from pathlib import Path, PurePosixPath

PATTERN = r"/nix/store/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]+"


def is_store_path(text: str | None) -> bool:
    """Whether ``text`` names a store path itself, nothing within one."""
    return text is not None and re.fullmatch(PATTERN, text) is not None


def below(root: Path, path: str) -> Path:
    """Name the place of the store path ``path`` in the store below ``root``."""
    return root / PurePosixPath(path).relative_to("/")


def name_of(path: str) -> str:
    """Give what the store path ``path`` is called in the store's directory."""
    return PurePosixPath(path).name
