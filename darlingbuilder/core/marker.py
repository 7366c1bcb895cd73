"""The one file that says that a builder is ours, and with which settings it was made."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from darlingbuilder import __version__
from darlingbuilder.core import config
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ConfigError, ForeignFileError, PrerequisiteError
from darlingbuilder.core.instance import DEFAULT
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.together import check_places
from darlingbuilder.core.tree import ROOT, Tree

SCHEMA = 1


class _Author(msgspec.Struct, frozen=True, kw_only=True):
    """What a marker of any version says of the tool that wrote it."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    tool_version: str


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """The marker's content: dotted key → value, and where each was said."""

    schema: int
    tool_version: str
    settings: dict[str, Any]
    origins: dict[str, str]
    config_file: str

    @property
    def config(self) -> Config:
        """The settings that the builder was made with; a key that is newer than the marker has its default."""
        named = self.settings.get("instance")
        # Of another type it is refused with all else that does not fit.
        defaults = config.defaults(named if isinstance(named, str) else DEFAULT)
        known = {key: value for key, value in self.settings.items() if key in defaults}
        origins = dict.fromkeys(defaults, "default") | {key: self.origins.get(key, "default") for key in known}
        return Config(config.inflate({**defaults, **known}), origins, Path(self.config_file))


def of(chosen: Config) -> Marker:
    """Make the marker that records ``chosen``."""
    return Marker(
        schema=SCHEMA,
        tool_version=__version__,
        settings=dict(config.flatten(chosen.settings)),
        origins=dict(chosen.origins),
        config_file=str(chosen.file),
    )


def read(tree: Tree, path: Path) -> Marker | None:
    """Read the marker; None if there is none. Raises ForeignFileError if it is not one that we can read."""
    try:
        found = tree.attributes(path)
        content = (tree.read(path) or b"") if found and found.kind is Kind.FILE else b""
    except PermissionError as error:
        raise PrerequisiteError(f"{path}: {error.strerror}", hint="run it as root") from error
    if found is None:
        return None
    if found.kind is not Kind.FILE:
        raise _foreign(path, f"it is a {found.kind.value if found.kind is not Kind.OTHER else 'special file'}")
    try:
        return _decoded(path, content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ConfigError) as error:
        raise _foreign(path, str(error)) from error


def _decoded(path: Path, content: bytes) -> Marker:
    # The schema comes first: what a newer version wrote may have another shape altogether.
    author = msgspec.json.decode(content, type=_Author)
    if author.schema > SCHEMA:
        raise ForeignFileError(
            f"{path} was written by darlingbuilder {author.tool_version} (schema {author.schema})",
            hint=f"this is {__version__}, which knows schemas up to {SCHEMA}; install that version or a newer one",
        )
    marker = msgspec.json.decode(content, type=Marker)
    # Directories are removed by what it says: a marker that was edited by hand must not name just any. What else it
    # says may be something that this version no longer takes.
    check_places(marker.config.settings)
    return marker


def _foreign(path: Path, reason: str) -> ForeignFileError:
    return ForeignFileError(
        f"{path} is not a marker of darlingbuilder: {reason}",
        hint="restore it from a backup; or, if nothing here is needed, move it and the prefix away",
    )


def write(tree: Tree, path: Path, marker: Marker) -> None:
    """Write ``marker`` to ``path``, readable by all: it holds no secret."""
    tree.write(path, msgspec.json.format(msgspec.json.encode(marker), indent=2) + b"\n", owner=ROOT)


def settings_of(marker: Marker | None, otherwise: Settings) -> Settings:
    """Give the settings that ``marker`` records, or ``otherwise``."""
    return marker.config.settings if marker else otherwise
