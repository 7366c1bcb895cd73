"""The proof that host and guest never wait for each other: no lock on a store is seen on the other side.

Nix on the host keeps an output locked while the guest builds it, and the guest locks it, too (NixOS/nix#2029).
"""

import re
import secrets
from pathlib import Path

from darlingbuilder.adapters import filelocks
from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import BuilderError, DarlingError
from darlingbuilder.core.paths import STORE
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree

_ROOT = Path("/")
# Tells of each file whether it can be opened for writing, by a word that nothing else prints.
SCRIPT = 'word=$1; shift; for file; do (: 4<>"$file") 2>/dev/null && echo "$word open $file"; done; echo "$word end"'
_REMEDY = 'somebody else has mounted or linked the host\'s store there; set «store» to "copy" or "overlay", then: '


def prove(settings: Settings, world: World) -> None:
    """Try it with the container up and its store mounted. Raises DarlingError if they could wait for each other."""
    sweep(settings, world)
    try:
        if settings.guest_nix:
            _prove_apart(settings, world)
        else:
            _prove_shut(settings, world)
    except OSError as error:
        raise DarlingError(
            f"it cannot be tried whether host and guest would wait for each other: {error}",
            hint="both stores must be on file systems that have locks: darlingbuilder doctor",
        ) from error


def sweep(settings: Settings, world: World) -> None:
    """Remove what a proof that was interrupted has left on either side. Another builder may be about its own."""
    ours = re.compile(rf"{re.escape(settings.names.trial)}[0-9a-f]{{16}}\.lock\Z")
    if any(map(ours.match, world.host.names(STORE))):
        with world.nix.writable_store() as host:
            _sweep(ours, host, _ROOT)
    guest = world.darling.files()
    if (found := guest.attributes(STORE.parent)) and found.kind is Kind.DIRECTORY:
        _sweep(ours, guest, STORE)


def _sweep(ours: re.Pattern[str], tree: Tree, store: Path) -> None:
    for name in filter(ours.match, tree.names(store)):
        tree.remove(store / name)


def _prove_apart(settings: Settings, world: World) -> None:
    """See that a lock in one store keeps nobody from one of that name in the other."""
    name, guest = _name(settings), world.darling.files()
    with world.nix.writable_store() as host:
        try:
            with host.opened(_ROOT / name) as ours, guest.opened(STORE / name) as theirs:
                seen = filelocks.kept_out(ours, theirs) + filelocks.kept_out(theirs, ours)
        finally:
            # The host's first: without it, an overlay has nothing to hide when the guest's is removed.
            host.remove(_ROOT / name)
            guest.remove(STORE / name)
    if seen:
        kinds = " and ".join(sorted(set(seen)))
        raise _deadly(f"a lock ({kinds}) taken on the one is seen on the other")


def _prove_shut(settings: Settings, world: World) -> None:
    """See that the guest's user can lock nothing in the host's store, which is theirs to read."""
    word, name, other = secrets.token_hex(8), _name(settings), _name(settings)
    with world.nix.writable_store() as host:
        try:
            with host.opened(_ROOT / name):
                files = (str(STORE / name), str(STORE / other))
                said = world.darling.run(
                    "/bin/sh", "-c", SCRIPT, "deadlock", word, *files, timeout=settings.boot_timeout
                )
        finally:
            for one in (name, other):
                host.remove(_ROOT / one)
    if f"{word} open" in said.stdout:
        raise _deadly(f"{settings.user} can write in it")
    if f"{word} end" not in said.stdout:
        raise DarlingError(
            f"the guest did not say whether it can write in the host's store: {(said.stdout + said.stderr)[-200:]!r}",
            hint="see whether it works at all: darlingbuilder doctor",
        )


def _name(settings: Settings) -> str:
    return f"{settings.names.trial}{secrets.token_hex(8)}.lock"


def _deadly(how: str) -> BuilderError:
    return DarlingError(
        f"the guest's {STORE} is the host's own: {how}, so that every build would wait for ever",
        hint=f"{_REMEDY}darlingbuilder init",
    )
