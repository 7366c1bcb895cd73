"""Settings from defaults, file, environment and flags, each value with its origin."""

import difflib
import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from darlingbuilder.core import declaration, settings_file, variables
from darlingbuilder.core.declaration import Value
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.instance import DEFAULT, Instance
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.together import check_together

DEFAULT_FILE = Instance().settings_file
_OTHER_VARIABLES = frozenset({variables.CONFIG, variables.ZIG})
# The settings that say which builder is meant.
WHOSE = ("instance", "state")
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force and, by key, where each was said."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path


@dataclass(frozen=True, slots=True)
class Source:
    """Values of one origin. ``text``: they are strings that are still to be converted."""

    label: str
    values: Mapping[str, object]
    text: bool = False


def load(*, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """Merge defaults < ``file`` < ``environment`` < ``flags`` (dotted key → text). Raises ConfigError.

    Without ``file`` the variable DARLINGBUILDER_CONFIG names it; the default file alone may be missing. Which file
    that is, and what the defaults are, is the instance's affair.
    """
    told = _told(environment, flags)
    named, asked = _named(file, environment), _instance(told)
    place = named or Instance(asked or DEFAULT).settings_file
    written = Source(str(place), _from_file(place, needed=named is not None))
    # A file in its usual place is for the instance that is named after it, another one for whom it says.
    instance = _agreed(written, asked or (None if named else DEFAULT))
    return _merged(instance, (written, *told), place)


def without_file(*, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """Merge the same, but for the file, which is named and not read. Raises ConfigError."""
    told = _told(environment, flags)
    instance = _instance(told) or DEFAULT
    return _merged(instance, told, _named(file, environment) or Instance(instance).settings_file)


def defaults(instance: str) -> Mapping[str, Value]:
    """Give what every setting is where nobody says anything, for the builder of that name."""
    own = {"instance": instance, **Instance(instance).defaults}
    return {key: own.get(key, setting.default) for key, setting in declaration.table().items()}


def flatten(settings: Settings) -> dict[str, Value]:
    """Give ``settings`` as dotted key → value."""
    flat: dict[str, Value] = {}
    for name, value in msgspec.to_builtins(settings).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in value.items()}
        else:
            flat[name] = value
    return flat


def inflate(values: Mapping[str, object]) -> Settings:
    """Make settings of dotted keys. Raises msgspec.ValidationError where a value does not fit."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, leaf = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    return msgspec.convert(tree, Settings)


def _told(environment: Mapping[str, str], flags: Mapping[str, str]) -> tuple[Source, Source]:
    return Source("environment", _from_environment(environment), text=True), Source("flag", flags, text=True)


def _named(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    said = file or environment.get(variables.CONFIG)
    # The unit's hook reads it from another directory.
    return Path(said).absolute() if said else None


def _merged(instance: str, sources: Sequence[Source], file: Path) -> Config:
    values = dict(defaults(instance))
    origins = dict.fromkeys(values, "default")
    for source in sources:
        for key, value in source.values.items():
            _known(key, source.label)
            values[key] = _convert(key, value, source)
            origins[key] = source.label
    settings = inflate(values)
    check_together(settings)
    return Config(settings, origins, file)


def _from_file(file: Path, *, needed: bool) -> dict[str, object]:
    tree, label = settings_file.read(file, needed=needed), str(file)
    tables = {key.partition(".")[0] for key in declaration.table() if "." in key}
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if name in tables and isinstance(value, dict):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in value.items()}
        elif name in tables:
            raise ConfigError(f"{label}: {name} is a table", hint=f"write [{name}] and its keys below it")
        else:
            flat[name] = value
    return flat


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    keys = {setting.variable: key for key, setting in declaration.table().items()}
    found: dict[str, object] = {}
    for variable, value in environment.items():
        if not variable.startswith(declaration.VARIABLE_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        if variable not in keys:
            raise ConfigError(f"environment: unknown setting {_shown(variable)}", hint=_nearest(variable, keys))
        found[keys[variable]] = value
    return found


def _agreed(written: Source, asked: str | None) -> str:
    """Give the instance that is ``asked`` for, or else that of the file. Raises ConfigError where they differ."""
    said = _instance([written])
    if said and asked and said != asked:
        raise ConfigError(
            f"{written.label}: says instance = {said!r}, and is read for {asked!r}",
            hint=f"put the settings of {said} in {Instance(said).settings_file}, and name it by --instance",
        )
    return asked or said or DEFAULT


def _instance(sources: Sequence[Source]) -> str | None:
    """Give what ``sources`` say of the instance, the last one first; None if nothing."""
    key = "instance"
    said = [_convert(key, source.values[key], source) for source in sources if key in source.values]
    return str(said[-1]) if said else None


def _known(key: str, label: str) -> None:
    if key not in declaration.table():
        raise ConfigError(f"{label}: unknown setting {_shown(key)}", hint=_nearest(key, declaration.table()))


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listing = "«darlingbuilder config show» lists them all"
    return f"did you mean {close[0]!r}? {listing}" if close else listing


def _convert(key: str, value: object, source: Source) -> Value:
    setting = declaration.table()[key]
    if source.text and setting.is_list:
        value = str(value).replace(",", " ").split()
    try:
        return typing.cast("Value", msgspec.convert(value, setting.type, strict=not source.text))
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{source.label}: {key} = {_shown(value)}: {error}", hint=f"{key} is {declaration.describe(setting)}"
        ) from None


def _shown(value: object) -> str:
    # Not the repr of just anything: deep nesting and huge numbers have none.
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN:
        return "a huge number"
    text = repr(value[: _LONGEST_SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def current_environment() -> Mapping[str, str]:
    """Give the environment of this process."""
    return os.environ
