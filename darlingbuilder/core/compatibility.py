"""What is known of Darling, Nix and nixpkgs together: the rows of compatibility.toml, and what follows from them."""

import datetime as dt
import enum
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from darlingbuilder.core import storepath
from darlingbuilder.core.errors import ConfigError

TABLE = Path(__file__).with_suffix(".toml")

_Text = Annotated[str, Meta(min_length=1)]
_NixVersion = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)+\Z")]
_Release = Annotated[str, Meta(pattern=r"^[0-9]{2}\.[0-9]{2}\Z")]
_StorePath = Annotated[str, Meta(pattern=rf"^({storepath.PATTERN})?\Z")]


class Evidence(enum.Enum):
    """How well something is known."""

    RUN = "run"
    SOURCE = "source"
    REPORTED = "reported"


class Outcome(enum.Enum):
    """What a Nix does in a Darling guest."""

    WORKS = "works"
    DIES = "dies"
    UNTRIED = "untried"


_WORDS = {
    Outcome.WORKS: "known to work in a Darling guest",
    Outcome.DIES: "to die there",
    Outcome.UNTRIED: "not tried by anybody here, but with a known store path",
}


class _Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every row says of itself: how well it is known, and from where."""

    evidence: Evidence
    source: _Text


class DarlingRow(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Darling, and the macOS that its guest says it is."""

    version: _Text
    macos: int


class NixRow(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Nix: its x86_64-darwin store path, if known, and what it does in the guest of ``darling``."""

    version: _NixVersion
    outcome: Outcome
    path: _StorePath = ""
    darling: str = ""
    detail: str = ""


class NixpkgsRow(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first release of nixpkgs that needs this macOS at least."""

    release: _Release
    macos: int


class End(_Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last releases with x86_64-darwin; ``binaries``: until when there are any from cache.nixos.org."""

    nixpkgs: _Release
    nix: _NixVersion
    binaries: dt.date


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file, in its own order."""

    default_nix: _NixVersion
    darling: list[DarlingRow]
    nix: list[NixRow]
    nixpkgs: list[NixpkgsRow]
    end: End


def read(text: bytes) -> Table:
    """Give the rows of ``text``. Raises msgspec.ValidationError for one that says too little or something unknown."""
    return msgspec.toml.decode(text, type=Table)


@cache
def table() -> Table:
    """Give the package's own rows."""
    return read(TABLE.read_bytes())


def nix_paths() -> dict[str, str]:
    """Give the x86_64-darwin store paths that are known, by version."""
    return {row.version: row.path for row in table().nix if row.path}


def nix_path(version: str = "") -> str:
    """Give the store path of ``version``, or of the default. Raises ConfigError for one that is not known."""
    version, paths = version or table().default_nix, nix_paths()
    if version not in paths:
        raise ConfigError(
            f"nix.version: the store path of Nix {version} for x86_64-darwin is not known",
            hint=f"known are {', '.join(paths)}; any other goes by nix.package, or by nix.tarball with nix.sha256",
        )
    return paths[version]


def nix_advice() -> str:
    """Say which versions of Nix are known to work in a guest, to die there, and which nobody has tried."""
    said = []
    for outcome, words in _WORDS.items():
        rows = [row for row in table().nix if row.outcome is outcome]
        if rows:
            said.append(f"{words}: {', '.join(_described(row) for row in rows)}")
    return "; ".join(said)


def newest_nixpkgs(macos: int) -> str | None:
    """Give the newest release of nixpkgs that is made for ``macos`` too; None if there is none."""
    rows, end = table().nixpkgs, table().end.nixpkgs
    within = [row.release for row in rows if row.macos <= macos]
    return end if len(within) == len(rows) else max(within, default=None)


def example() -> str:
    """Give the command that builds something of the newest nixpkgs that a known Darling runs; Nix's own is newer."""
    release = newest_nixpkgs(max(row.macos for row in table().darling)) or table().end.nixpkgs
    return f"nix build nixpkgs/nixpkgs-{release}-darwin#hello --eval-system x86_64-darwin"


def _described(row: NixRow) -> str:
    told = f"with Darling {row.darling}" if row.darling else row.detail
    told = f"{told}, {row.evidence.value}" if told and row.evidence is Evidence.REPORTED else told
    return f"{row.version} ({told})" if told else row.version
