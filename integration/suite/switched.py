"""A machine switched to a configuration with the NixOS module: /etc and units out of the store, as NixOS does it."""

import re
from dataclasses import dataclass
from typing import Any

from integration.machine.tree import Entry
from integration.suite.nixos import NixOs, toml
from integration.suite.site import TARBALL, Site

_UNITS = "/etc/systemd/system"
# Where the packages of the evaluation are said to be, and where the machine has what they stand for.
_SYSTEMD = re.compile(r"/nix/store/0+-systemd/lib/systemd/")
_STORED = re.compile(r"/nix/store/0+-(darlingbuilder(?:-[a-z0-9-]+)?)\.toml")


@dataclass(frozen=True, slots=True)
class Switched:
    """A machine that was switched to a configuration with the module."""

    site: Site
    system: dict[str, Any]
    # As it was before the first start.
    etc: dict[str, Entry]


def switch(site: Site, options: str) -> Switched:
    """Do what a switch of NixOS to the ``options`` does, in its order: files, users, units, services.

    Every builder of them is given the machine's Darling and the guest's Nix.
    """
    run = site.machine.run
    tool = run("which", "darlingbuilder").stdout.strip().removesuffix("/bin/darlingbuilder")
    system = NixOs.on(site.machine).system(_module(site, options), packages=f'{{ tool = "{tool}"; }}')
    assert system["refused"] == []
    _bring_settings(site, system)
    write(site, "/etc/ssh/ssh_config", f"{system['ssh']}\nHost *\n    SendEnv LANG\n")
    nix = site.file("/etc/nix/nix.conf").read_text()
    nix += f"builders = {system['nix']['builders']}\nbuilders-use-substitutes = true\n"
    write(site, "/etc/nix/nix.conf", nix)
    for user in system["users"]["users"]:
        run("useradd", "--system", "--user-group", "--no-create-home", user)
    wanted = _bring_units(site, system)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "nix-daemon.service")
    before = etc(site)
    run("systemctl", "start", *wanted, timeout=240)
    return Switched(site, system, before)


def in_store(site: Site, path: str, name: str) -> str:
    """Put a file into the host's store, where nobody can write."""
    site.machine.run("cp", path, f"/root/{name}")
    return site.machine.run("nix-store", "--add", f"/root/{name}").stdout.strip()


def write(site: Site, path: str, text: str) -> None:
    """Write a file of the machine."""
    site.file(path).parent.mkdir(parents=True, exist_ok=True)
    site.file(path).write_text(text)


def etc(site: Site) -> dict[str, Entry]:
    """Give what lies in the machine's /etc."""
    return {path: entry for path, entry in site.machine.tree().items() if path.startswith("/etc/")}


def _module(site: Site, options: str) -> str:
    """Give a configuration with ``options``, in which a builder says nothing of Darling and Nix."""
    nix = f'nix = {{ tarball = "{TARBALL}"; sha256 = "{site.tarball.sha256}"; }};'
    return f"""{{ config, lib, ... }}: {{ services.darling-builder = lib.mkMerge [
      {{ enable = true; setuidWrapper = false; settings = {{ darling = "{site.launcher}"; {nix} }}; }}
      {{ {options} }}
    ]; }}"""


def _bring_settings(site: Site, system: dict[str, Any]) -> None:
    for name, tree in system["toml"].items():
        write(site, f"/etc/{name}", toml(tree))
        stored = in_store(site, f"/etc/{name}", name.rpartition("/")[2])
        site.machine.run("ln", "--force", "--symbolic", stored, f"/etc/{name}")


def _bring_units(site: Site, system: dict[str, Any]) -> list[str]:
    """Build the units by the module's own commands, link them out of the store, and give those that are wanted."""
    for number, commands in enumerate(system["unit"]):
        script = _SYSTEMD.sub("/usr/lib/systemd/", _STORED.sub(_settings_file, commands))
        write(site, f"/root/build-{number}.sh", f"set -eu; out=/root/units\n{script}")
        site.machine.run("sh", f"/root/build-{number}.sh")
    for unit in sorted(site.file("/root/units/lib/systemd/system").iterdir()):
        # A store path has no @.
        stored = in_store(site, f"/root/units/lib/systemd/system/{unit.name}", unit.name.replace("@", "-"))
        site.machine.run("ln", "--symbolic", stored, f"{_UNITS}/{unit.name}")
    for name, unit in system["units"].items():
        if unit["serviceConfig"]:
            write(site, f"{_UNITS}/{name}.service", _service(unit))
    return _want(site, system)


def _want(site: Site, system: dict[str, Any]) -> list[str]:
    kinds = {"units": "service", "sockets": "socket", "timers": "timer"}
    wanted = [
        (f"{name}.{kind}", target)
        for part, kind in kinds.items()
        for name, unit in system[part].items()
        for target in unit["wantedBy"]
    ]
    for unit, target in wanted:
        site.machine.run("mkdir", "-p", f"{_UNITS}/{target}.wants")
        site.machine.run("ln", "--symbolic", f"../{unit}", f"{_UNITS}/{target}.wants/{unit}")
    return [unit for unit, _ in wanted]


def _service(unit: dict[str, Any]) -> str:
    lines = [
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in unit["serviceConfig"].items()
    ]
    return f"[Unit]\nBefore={' '.join(unit['before'])}\n[Service]\n" + "\n".join(lines) + "\n"


def _settings_file(match: re.Match[str]) -> str:
    instance = match[1].removeprefix("darlingbuilder").removeprefix("-")
    return f"/etc/darlingbuilder/instances/{instance}.toml" if instance else "/etc/darlingbuilder/config.toml"
