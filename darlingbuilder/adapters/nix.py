"""The host's Nix, by its own command-line tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

_COMMAND = ("--extra-experimental-features", "nix-command")
_FETCH_SECONDS = 3600


class HostNix(Protocol):
    """What the builder needs of the host's Nix."""

    def version(self) -> tuple[int, ...]:
        """Give the version, (2, 26, 3) say. Raises PrerequisiteError if there is no Nix."""

    def settings(self) -> Mapping[str, object]:
        """Give the settings in force, by name."""

    def fetch(self, path: str) -> None:
        """Make the store path ``path`` valid on the host, from its substituters, signatures checked."""

    def closure(self, path: str) -> list[str]:
        """List the store paths that ``path`` needs, itself included."""

    def copy_into(self, root: Path, paths: Sequence[str]) -> None:
        """Copy the closures of ``paths`` into the store below ``root``, whose store directory is <root>/nix/store."""

    def load_into(self, root: Path, registration: bytes) -> None:
        """Register paths that lie in the store below ``root`` already, as ``--dump-db`` prints them."""

    def has(self, root: Path, path: str) -> bool:
        """Whether ``path`` is valid in the store below ``root``."""
