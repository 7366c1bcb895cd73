"""The builders of this host, found by what each leaves on it, and kept apart from one another."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core import block, config, lock, managed, marker
from darlingbuilder.core.apart import check_apart
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.instance import DEFAULT, NAME, SETTINGS, STATES, UNITS, Instance
from darlingbuilder.core.marker import Marker
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_CUSTOM_CONF, NIX_MACHINES, SHARED_LOCK, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.commandlines import installed_state

# Where the names of builders stand among others.
_TRACES = (
    (UNITS, re.compile(rf"darling-builder(@(?P<name>{NAME}))?\.service\Z")),
    (SETTINGS, re.compile(r"config\.toml\Z")),
    (SETTINGS / "instances", re.compile(rf"(?P<name>{NAME})\.toml\Z")),
)
_STATE = re.compile(rf"darling-builder(-(?P<name>{NAME}))?\Z")
_INCLUDED = re.compile(rf"@({re.escape(str(Instance().machines.with_suffix('')))}(-{NAME})?\.machines)(?=[;\s]|\Z)")
# Nobody holds that lock for longer than a restart of Nix's daemon takes.
_SECONDS = 60.0


def names(host: Tree) -> list[str]:
    """List the builders that have a unit, a settings file or a marker in its usual place; the default one first."""
    found = {_name(match) for place, kind in _TRACES for match in map(kind.match, host.names(place)) if match}
    states = {_name(match) for match in map(_STATE.match, host.names(STATES)) if match}
    found |= {name for name in states if host.attributes(Paths(_usual(name)).marker)}
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def made(host: Tree, name: str) -> Marker | None:
    """Read the marker of the builder ``name``, wherever its unit says it is; None if it is not made.

    Raises what reading it raises.
    """
    state = installed_state(Instance(name), host)
    chosen = _usual(name) if state is None else Settings(state=str(state))
    found = marker.read(host, Paths(chosen).marker)
    return found if found and found.config.settings.instance == name else None


def others(host: Tree, name: str) -> list[Settings]:
    """List the settings of the builders beside ``name``; one whose marker cannot be read is not known."""
    found: list[Settings] = []
    for one in names(host):
        with contextlib.suppress(BuilderError):
            if one != name and (other := made(host, one)):
                found.append(other.config.settings)
    return found


def refuse_shared(settings: Settings, host: Tree) -> None:
    """Raise ConfigError if ``settings`` would have something between this builder and another one."""
    for other in others(host, settings.instance):
        check_apart(settings, other)


@contextlib.contextmanager
def changing_shared(world: World, purpose: str) -> Iterator[None]:
    """Let nobody else meanwhile change what all builders of this host share. Raises LockedError."""
    if world.host.attributes(SHARED_LOCK.parent) is None:
        # A machine that has never run: nobody is at work there.
        yield
        return
    with lock.held(world.host.real(SHARED_LOCK), purpose=purpose, seconds=_SECONDS) as held:
        try:
            yield
        finally:
            held.remove()


def registered(host: Tree, own: Path) -> list[Path]:
    """List the machines files of builders to which our blocks lead Nix, but for ``own``.

    A block is of all builders, and each adds and withdraws its own alone. What is not there any more is nobody's.
    """
    blocks = [block.lines_of(_text(host, path)) or "" for path in (NIX_MACHINES, HOST_NIX_CONF, NIX_CUSTOM_CONF)]
    named = {Path(found[1]) for text in blocks for found in _INCLUDED.finditer(text)}
    return sorted(path for path in named if path != own and managed.is_ours(host.read(path)))


def _text(host: Tree, path: Path) -> str:
    return (host.read(path) or b"").decode(errors="replace")


def _usual(name: str) -> Settings:
    return config.inflate(config.defaults(name))


def _name(match: re.Match[str]) -> str:
    return match.groupdict().get("name") or DEFAULT
