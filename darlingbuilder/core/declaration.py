"""What settings there are, read from their declaration: each with its flag, variable, table, type and help."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import msgspec

from darlingbuilder.core.settings import Settings

VARIABLE_PREFIX = "DARLINGBUILDER_"

Value = str | int | bool | list[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the settings: ``key`` is dotted, ``type`` carries bounds and help."""

    key: str
    type: Any
    default: Value
    help: str

    @property
    def flag(self) -> str:
        """The command-line flag: ``nix.package`` gives ``--nix-package``."""
        return "--" + self.key.replace(".", "-").replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable: ``nix.package`` gives ``DARLINGBUILDER_NIX_PACKAGE``."""
        return VARIABLE_PREFIX + self.key.replace(".", "_").upper()

    @property
    def table(self) -> str:
        """The table of the file that it stands in; none for what stands before all tables."""
        return self.key.rpartition(".")[0]

    @property
    def is_list(self) -> bool:
        """Whether text is split at commas and spaces."""
        return typing.get_origin(_bare(self.type)) is list

    @property
    def words(self) -> Sequence[str]:
        """The words that are all it takes; none where it takes others."""
        bare = _bare(self.type)
        if bare is bool:
            return ("true", "false")
        return typing.get_args(bare) if typing.get_origin(bare) is typing.Literal else ()

    @property
    def is_path(self) -> bool:
        """Whether it takes the name of a file or directory."""
        patterns = [meta.pattern for meta in getattr(self.type, "__metadata__", ()) if meta.pattern]
        return any(pattern.lstrip("^(").startswith("/") for pattern in patterns)


@cache
def table() -> Mapping[str, Setting]:
    """Every setting by its dotted key, in the order of the declaration."""
    return {setting.key: setting for setting in _leaves(Settings, "")}


def tables() -> Mapping[str, str]:
    """Every table of the settings file by its name, with what it is."""
    annotations = typing.get_type_hints(Settings, include_extras=True)
    names = {setting.table for setting in table().values()}
    return {name: _help(annotation) for name, annotation in annotations.items() if name in names}


def as_text(value: Value) -> str:
    """Give ``value`` as one writes it in a flag or a variable."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def describe(setting: Setting) -> str:
    """Say in words what ``setting`` takes: its help and its type."""
    return f"{setting.help} ({_type_name(setting.type)})"


def _type_name(annotation: Any) -> str:  # noqa: ANN401 - as above
    bare = _bare(annotation)
    if typing.get_origin(bare) is typing.Literal:
        return " or ".join(typing.get_args(bare))
    if isinstance(bare, types.UnionType) or typing.get_origin(bare) is typing.Union:
        return " or ".join(_type_name(part) for part in typing.get_args(bare))
    if typing.get_origin(bare) is list:
        return "a list of names"
    return {bool: "true or false", int: "a whole number", str: "text"}[bare] + _bounds(annotation)


def _bounds(annotation: Any) -> str:  # noqa: ANN401 - as above
    metas = getattr(annotation, "__metadata__", ())
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    return f" from {low} to {high}" if low is not None and high is not None else ""


def _leaves(struct: type[msgspec.Struct], prefix: str) -> list[Setting]:
    annotations = typing.get_type_hints(struct, include_extras=True)
    found: list[Setting] = []
    for field in msgspec.structs.fields(struct):
        annotation = annotations[field.name]
        bare = _bare(annotation)
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            found += _leaves(bare, f"{field.name}.")
            continue
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        found.append(Setting(prefix + field.name, annotation, default, _help(annotation)))
    return found


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - a type expression has no type of its own
    return _bare(annotation.__origin__) if typing.get_origin(annotation) is Annotated else annotation


def _help(annotation: Any) -> str:  # noqa: ANN401 - as above
    return next(str(meta.description) for meta in reversed(annotation.__metadata__) if meta.description)
