"""The one file that says that a builder is ours, and with which settings it was made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from darlingbuilder import __version__
from darlingbuilder.core import config
from darlingbuilder.core.config import Config, Value
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree

SCHEMA = 1


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
        defaults: Mapping[str, Value] = {key: setting.default for key, setting in config.table().items()}
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
    content = tree.read(path)
    if content is None:
        return None
    try:
        marker = msgspec.json.decode(content, type=Marker)
        _ = marker.config
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignFileError(
            f"{path} is not a marker of darlingbuilder: {error}",
            hint="restore it from a backup; or, if nothing here is needed, move it and the prefix away",
        ) from error
    if marker.schema > SCHEMA:
        raise ForeignFileError(
            f"{path} was written by darlingbuilder {marker.tool_version} (schema {marker.schema})",
            hint=f"this is {__version__}, which knows schemas up to {SCHEMA}; install that version or a newer one",
        )
    return marker


def write(tree: Tree, path: Path, marker: Marker) -> None:
    """Write ``marker`` to ``path``, readable by all: it holds no secret."""
    tree.write(path, msgspec.json.format(msgspec.json.encode(marker), indent=2) + b"\n", owner=ROOT)


def settings_of(marker: Marker | None, otherwise: Settings) -> Settings:
    """Give the settings that ``marker`` records, or ``otherwise``."""
    return marker.config.settings if marker else otherwise
