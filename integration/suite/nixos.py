"""The NixOS module evaluated by a machine's own Nix, without nixpkgs, into plain values."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darlingbuilder.core.instance import DEFAULT, Instance
from integration.machine.commands import Completed
from integration.machine.machine import Machine

HERE = Path(__file__).parents[2]
# Where users of the seed have it, beside their configuration.
CHECKOUT = "/etc/nixos/path/to/darling-nix"
# All of the source that an evaluation reads.
_READ = ("nix", "units", "darlingbuilder/__init__.py", "darlingbuilder/templates")


@dataclass(frozen=True, slots=True)
class NixOs:
    """A checkout of the source in a machine, and the Nix that evaluates it."""

    machine: Machine

    @classmethod
    def on(cls, machine: Machine) -> "NixOs":
        """Copy the source into ``machine``."""
        for name in _READ:
            source, target = HERE / name, machine.path(f"{CHECKOUT}/{name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        return cls(machine)

    def instantiate(self, expression: str) -> Completed:
        """Have Nix evaluate ``expression`` to JSON, with ``checkout`` as the path of the source."""
        return self.machine.run(
            "nix-instantiate", "--eval", "--strict", "--json",
            "--expr", f"let checkout = {CHECKOUT}; in {expression}",
            check=False,
        )  # fmt: skip

    def value(self, expression: str) -> Any:  # noqa: ANN401 - Nix has any type
        """Give what ``expression`` comes to."""
        completed = self.instantiate(expression)
        assert completed.rc == 0, completed.stderr
        return json.loads(completed.stdout)

    def system(self, module: str = "{ }", *, packages: str = "{ }") -> dict[str, Any]:
        """Give what a NixOS with the configuration ``module`` comes to; see nix/tests/evaluate.nix."""
        found: dict[str, Any] = self.value(_system(module, packages))
        return found

    def error(self, module: str) -> str:
        """Give what Nix says of the configuration ``module``, which it has to refuse."""
        completed = self.instantiate(_system(module, "{ }"))
        assert completed.rc != 0, completed.stdout
        return completed.stderr


def settings(chosen: dict[str, Any]) -> str:
    """Give the options of the module, enabled, that ``chosen`` names, as Nix reads them."""
    return f"{{ services.darling-builder = {{ {_assignments({'enable': True, **chosen})} }}; }}"


def toml(tree: dict[str, Any]) -> str:
    """Write a settings file as nixpkgs' generator does: what is in ``tree``, tables last."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def told(nixos: NixOs, tree: dict[str, Any]) -> dict[str, Any]:
    """Give what the program makes of a settings file: the value of each setting that the file says."""
    nixos.machine.path("/root/module.toml").write_text(toml(tree))
    shown = nixos.machine.run("darlingbuilder", "config", "show", "--json", "--config", "/root/module.toml").stdout
    return {key: one["value"] for key, one in json.loads(shown).items() if one["origin"] != "default"}


def told_by(nixos: NixOs, tree: dict[str, Any], instance: str) -> dict[str, Any]:
    """Give every setting that the program makes of a settings file in the place of that ``instance``'s own."""
    names = Instance(instance)
    path = nixos.machine.path(str(names.settings_file))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml(tree))
    shown = nixos.machine.run("darlingbuilder", "--instance", instance, "config", "show", "--json").stdout
    return {key: one["value"] for key, one in json.loads(shown).items()}


def file_of(system: dict[str, Any], instance: str = DEFAULT) -> dict[str, Any]:
    """Give the settings file of a system, as a tree."""
    place = str(Instance(instance).settings_file).removeprefix("/etc/")
    found: dict[str, Any] = system["toml"][place]
    return found


def _system(module: str, packages: str) -> str:
    return f"import (checkout + /nix/tests/evaluate.nix) {{ packages = {packages}; module = {module}; }}"


def _assignments(chosen: dict[str, Any]) -> str:
    return " ".join(f"{path} = {_nix(value)};" for path, value in chosen.items())


def _nix(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, list):
        return f"[ {' '.join(map(_nix, value))} ]"
    if isinstance(value, dict):
        return f"{{ {_assignments(value)} }}"
    # What is no interpolation in JSON might be one in Nix.
    return json.dumps(value, ensure_ascii=False).replace("${", "\\${")
