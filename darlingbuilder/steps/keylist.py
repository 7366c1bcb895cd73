"""Every key of the builder, as it is found on the host and in the guest."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair
from darlingbuilder.core.errors import GuestPathError, KeyFileError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.paths import AUTHORIZED_KEYS, HOST_KEY, next_of
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.keyring import Keyring, Role

Stage = Literal["in use", "next", "unknown"]
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Listed:
    """A key. ``stage``: «unknown» is one that the guest alone has. ``guest``: whether the guest has it, or admits it.

    ``age``: seconds since the file was written. ``whose``: who keeps it. ``error``: why it cannot be used.
    """

    role: Role
    stage: Stage
    path: Path
    key: PublicKey | None
    host: bool
    guest: bool
    age: float | None
    whose: str
    error: str


def listed(settings: Settings, world: World) -> list[Listed]:
    """List the keys of both roles, in use, next, and such as only the guest has."""
    return [one for role in Role for one in _of_role(role, Keyring(settings, world.host), world)]


def _of_role(role: Role, ring: Keyring, world: World) -> Iterator[Listed]:
    inside = admitted_by_guest(world) if role is Role.USER else _shown_by_guest(world)
    path = ring.path(role)
    known = [_on_host(role, "in use", path, ring, inside)]
    if world.host.attributes(next_of(path)):
        known.append(_on_host(role, "next", next_of(path), ring, inside))
    yield from known
    texts = {one.key.text for one in known if one.key}
    if role is Role.USER:
        texts |= {key.text for key in Clients(ring.settings, ring.host).admitted()}
    place = AUTHORIZED_KEYS if role is Role.USER else HOST_KEY
    for key in inside:
        if key.text not in texts:
            yield Listed(role, "unknown", place, key, host=False, guest=True, age=None, whose="unknown", error="")


def _on_host(role: Role, stage: Stage, path: Path, ring: Keyring, inside: list[PublicKey]) -> Listed:
    found, key, error = ring.host.attributes(path), None, ""
    try:
        key = keypair.needed(ring.host, path)
    except KeyFileError as failure:
        error = str(failure).removeprefix(f"{path}: ")
    return Listed(
        role,
        stage,
        path,
        key,
        host=found is not None,
        guest=key is not None and key.text in {one.text for one in inside},
        age=time.time() - found.mtime_ns / _NANOSECONDS if found else None,
        whose=_whose(path, ring) if found else "nobody",
        error=error,
    )


def _whose(path: Path, ring: Keyring) -> str:
    if target := ring.host.link(path):
        return f"kept at {target}"
    if ring.is_ours(path):
        return "darlingbuilder"
    return "brought in" if ring.is_imported(path) else "your own"


def admitted_by_guest(world: World) -> list[PublicKey]:
    """List the keys that the guest's sshd lets in, as its own file says; the guest's user may have added some."""
    content = _guest_file(world, AUTHORIZED_KEYS)
    lines = (line.removeprefix(b"restrict ") for line in content.splitlines() if not line.startswith(b"#"))
    return [key for line in lines if (key := keypair.written_public(line)) and key.is_whole]


def _shown_by_guest(world: World) -> list[PublicKey]:
    try:
        return [keypair.public_of(_guest_file(world, HOST_KEY))]
    except ValueError:
        return []


def _guest_file(world: World, path: Path) -> bytes:
    try:
        return world.darling.files().read(path) or b""
    except GuestPathError:
        return b""
