"""``config``: every setting with its value and where that was said, or the unit that follows from them."""

import dataclasses
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import msgspec

from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core import config
from darlingbuilder.core.config import Config
from darlingbuilder.core.declaration import Value
from darlingbuilder.core.errors import ConfigError, ExitCode
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import commandlines, metricsunits, socketunits, units


class SettingView(msgspec.Struct, frozen=True):
    """One setting, as ``--json`` gives it."""

    value: Value
    origin: str


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print the settings that file, environment and flags give now, or their unit."""
    names = context.called.settings.names
    units_by_action = {
        "unit": names.unit,
        "socket": names.socket,
        "proxy": names.proxy,
        "metrics": names.metrics_service,
        "timer": names.metrics_timer,
    }
    if arguments.action in units_by_action:
        say(unit(context.called, units_by_action[arguments.action]).rstrip("\n"))
        return ExitCode.OK
    shown = view(context.called)
    if arguments.json:
        say_json(shown)
    else:
        say(text(shown))
    return ExitCode.OK


def unit(chosen: Config, name: str) -> str:
    """Give the unit ``name`` for a system that brings it itself, the settings file of ``chosen`` in the usual place.

    Where a package is built, that file lies elsewhere. Raises ConfigError for a unit that these settings do not have.
    """
    settings, names = chosen.settings, chosen.settings.names
    at_home = dataclasses.replace(chosen, file=names.settings_file)
    if name == names.unit:
        return units.text(at_home)
    if name in {names.metrics_service, names.metrics_timer}:
        if not settings.metrics_textfile:
            raise ConfigError(f"there is no {name}: metrics_textfile is unset", hint="set it, or leave that unit out")
        return metricsunits.texts(names, commandlines.write_metrics(at_home))[name]
    if not settings.on_demand:
        raise ConfigError(f"there is no {name}: on_demand is false", hint="set on_demand = true, or leave it out")
    return socketunits.texts(settings, Tree(Path("/")), commandlines.stop_if_idle(at_home))[name]


def view(chosen: Config) -> Mapping[str, SettingView]:
    """Give every setting by its dotted key, in the order of the declaration."""
    return {key: SettingView(value, chosen.origins[key]) for key, value in config.flatten(chosen.settings).items()}


def text(shown: Mapping[str, SettingView]) -> str:
    """Give the settings for people, in three columns; a value reads as it does in the settings file."""
    values = {key: msgspec.json.encode(setting.value).decode() for key, setting in shown.items()}
    keys, wide = max(map(len, values)), max(map(len, values.values()))
    return "\n".join(f"{key:{keys}} = {value:{wide}}  {shown[key].origin}" for key, value in values.items())
