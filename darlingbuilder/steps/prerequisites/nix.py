"""The host's Nix: which it is, whether it is new enough, and whether it leaves Darwin's derivations to builders."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from darlingbuilder.adapters.systemd import Activity, Systemd
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.paths import NIX_DAEMON, NIX_DAEMON_SOCKET
from darlingbuilder.steps.builders import Builders
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning

OLDEST = (2, 8)
_SYSTEM = "x86_64-darwin"
# A machines line with its pinned key is twice as long.
_SETTING_WIDTH = 120


def version(surroundings: Surroundings) -> Verdict:
    """Ask the host's Nix for its version."""
    found = surroundings.world.nix.version()
    if found < OLDEST:
        return failure(
            f"{_dotted(found)} is older than {_dotted(OLDEST)}",
            "upgrade it: https://nix.dev/manual/nix/stable/installation/upgrading",
        )
    return ok(_dotted(found))


def daemon(surroundings: Surroundings) -> Verdict:
    """Say which Nix it is, who serves its users, whom that trusts, and by which file it knows its builders."""
    world, nix = surroundings.world, surroundings.world.nix
    try:
        name, settings = f"{nix.name()} {_dotted(nix.version())}", nix.settings()
    except PrerequisiteError as error:
        return warning("not looked at: there is no Nix", error.hint)
    builders = Builders(world, (surroundings.settings.names.machines,))
    if surroundings.settings.register and (drift := builders.unfit()):
        return failure(f"{name}: {drift[0].what} {drift[0].detail}", "write it in lines; or set «register = false»")
    unit = _serving(world.systemd)
    told = f"{name}; {unit or 'no daemon'}; {_trusted(settings)}; {_origin(builders, settings)}"
    if not unit:
        return warning(told, f"users build by the daemon: systemctl enable --now {NIX_DAEMON_SOCKET}")
    return ok(told)


def _serving(systemd: Systemd) -> str:
    """Say which unit serves Nix's users; nothing if none does. With Lix it may be the socket alone."""
    units = (NIX_DAEMON, NIX_DAEMON_SOCKET)
    return next((f"{unit} is active" for unit in units if systemd.unit(unit).activity is Activity.ACTIVE), "")


def _trusted(settings: Mapping[str, object]) -> str:
    names = " ".join(_words(settings.get("trusted-users"))) or "root"
    return f"trusted: {names} (others build too, on the builders that the daemon knows)"


def _origin(builders: Builders, settings: Mapping[str, object]) -> str:
    """Say what «builders» is in force, and who says so."""
    value = str(settings.get("builders", ""))
    if said := builders.in_force(value):
        source = "by default" if said.file == Path() else f"by {said.file}"
    else:
        source = "by NIX_CONFIG or root's own nix.conf"
    return f"builders = {textwrap.shorten(value, _SETTING_WIDTH, placeholder=' …')} {source}"


def platforms(surroundings: Surroundings) -> Verdict:
    """Look whether the host's Nix means to build for Darwin itself."""
    try:
        settings = surroundings.world.nix.settings()
    except PrerequisiteError as error:
        return warning("not looked at: there is no Nix", error.hint)
    for name in ("system", "extra-platforms"):
        if _SYSTEM in _words(settings.get(name)):
            return failure(
                f"the host's nix.conf says {name} = … {_SYSTEM} …: it would start Darwin's programs itself",
                f"take {_SYSTEM} out of {name}, then: systemctl restart nix-daemon",
            )
    return ok(f"{_SYSTEM} is left to builders")


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(word) for word in value] if isinstance(value, Iterable) else []


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
