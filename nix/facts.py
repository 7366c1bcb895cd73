"""What the NixOS module has to know of the program, told by the program itself: ``python -m nix.facts``."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from darlingbuilder.core import compatibility, declaration, instance
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.machines import SYSTEM
from darlingbuilder.core.paths import NIX_MACHINES, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.registration import BOOTS_AWAITED, CONNECT_SECONDS

FILE = Path(__file__).with_name("facts.json")
# No name that an instance can have.
_PLACEHOLDER = "NAME"
_CONTROL = r"\x00-\x1f\x7f\ud800-\udfff"


def facts() -> dict[str, Any]:
    """Give names, paths and the declaration of every setting."""
    ours = Paths(Settings())
    return {
        "names": _names(Instance()),
        "instances": _instances(),
        "system": SYSTEM,
        "machines_file": str(NIX_MACHINES),
        "our_machines": ours.machines.name,
        "known_hosts": ours.known_hosts.name,
        "connect_seconds": CONNECT_SECONDS,
        "boots_awaited": BOOTS_AWAITED,
        "nix_versions": list(compatibility.nix_paths()),
        "default_nix": compatibility.table().default_nix,
        "settings": {key: _setting(setting) for key, setting in declaration.table().items()},
    }


def _names(names: Instance) -> dict[str, str]:
    return {
        "alias": names.alias,
        "out_of_service": names.out_of_service,
        "config_file": str(names.settings_file),
        "unit": names.unit,
        "socket": names.socket,
        "proxy": names.proxy,
        "metrics_service": names.metrics_service,
        "metrics_timer": names.metrics_timer,
    }


def _instances() -> dict[str, Any]:
    """Give what builders with a name have of their own; the name itself is _PLACEHOLDER, its ports follow from it."""
    one = Instance(_PLACEHOLDER)
    return {
        "default": instance.DEFAULT,
        "pattern": posix(instance.NAME),
        "placeholder": _PLACEHOLDER,
        "first_port": instance.FIRST_PORT,
        "port_pairs": instance.PORT_PAIRS,
        "names": _names(one),
        "defaults": {key: value for key, value in one.defaults.items() if isinstance(value, str)},
    }


def posix(pattern: str) -> str:
    """Give a pattern of Python's as Nix's ``builtins.match`` takes it: POSIX, and matching the whole anyway."""
    return pattern.removeprefix("^").removesuffix(r"\Z").replace(_CONTROL, "[:cntrl:]")


def text() -> str:
    """Give the facts as the file has them."""
    return msgspec.json.format(msgspec.json.encode(facts()), indent=2).decode() + "\n"


def _setting(setting: declaration.Setting) -> dict[str, Any]:
    return {"default": setting.default, "help": setting.help, "type": _translated(msgspec.json.schema(setting.type))}


def _translated(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: value for key, value in schema.items() if key not in {"description", "$schema"}}
    if "pattern" in kept:
        kept["pattern"] = posix(kept["pattern"])
    if "items" in kept:
        kept["items"] = _translated(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_translated(one) for one in kept["anyOf"]]
    return kept


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(f"usage: python -m nix.facts (it writes {FILE})")
    FILE.write_text(text())
