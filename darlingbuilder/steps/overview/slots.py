"""How many of a machine's slots the host's Nix has given out: the locks that its build hooks hold."""

import re
from collections.abc import Callable

import msgspec

from darlingbuilder.adapters import flocks
from darlingbuilder.core.paths import NIX_LOAD
from darlingbuilder.core.tree import Tree

# <URI with / as _>-<slot>, as build-remote.cc names them.
_SLOT = re.compile(r"(?P<uri>.+)-(?P<number>[0-9]{1,6})\Z")


class Slots(msgspec.Struct, frozen=True):
    """``used`` of ``max`` builds that the host's Nix sends at once; null where that is not known."""

    used: int | None
    max: int | None


def of_store(host: Tree, store: str) -> int:
    """Count the slots in use of the machine with the URI ``store``."""
    return _used(host, lambda name: name == store.replace("/", "_"))


def of_ours(host: Tree, alias: str) -> int:
    """Count those of our own builder, by whatever protocol and user its ``alias`` is registered."""
    ours = re.compile(rf"(ssh(-ng)?:__)?([^@_]*@)?{re.escape(alias)}(\?.*)?\Z")
    return _used(host, lambda name: bool(ours.match(name)))


def _used(host: Tree, is_wanted: Callable[[str], bool]) -> int:
    named = [name for name in host.names(NIX_LOAD) if (found := _SLOT.match(name)) and is_wanted(found["uri"])]
    return len(flocks.held(host.real(NIX_LOAD / name) for name in named))
