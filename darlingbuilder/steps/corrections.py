"""Which of the shim's corrections this Darling needs, found by what its sshd and its Nix do without them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from darlingbuilder.adapters.process import TIMED_OUT
from darlingbuilder.adapters.sshclient import Login
from darlingbuilder.adapters.world import World
from darlingbuilder.core import shim
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import GUEST_PROFILE, SHIM, Paths
from darlingbuilder.core.settings import Settings

# What the lines of the probe's answer say, each with the nonce: the session is there, a signal has ended no more than
# its process, Nix takes no links.
_BEGUN, _LIVES, _UNLINKED = "begun", "lives", "unlinked"
_LOGS = "see what its sshd says: darlingbuilder logs"


@dataclass(frozen=True, slots=True)
class Defect:
    """Something that a stock Darling gets wrong, what it means, and the corrections that cure it.

    With a ``bearable`` one the builder serves nevertheless, if it must: only some builds fail.
    """

    name: str
    meaning: str
    cures: frozenset[str]
    bearable: bool = False


IPV4 = Defect("IPv4", "every connection to its sshd over IPv4 dies", frozenset({"getsockopt"}))
STRAY_LINES = Defect(
    "stray lines", "stray lines at the start of a session break Nix's protocols", frozenset({"proc_pidinfo"})
)
LINKS = Defect("links", "no output with a symbolic link can be registered", frozenset({"lchflags"}))
SIGNALS = Defect(
    "signals", "one SIGPIPE in a pipeline kills a whole build", frozenset({"signals", "spawn"}), bearable=True
)
DEFECTS = (IPV4, STRAY_LINES, LINKS, SIGNALS)
# Without a probe of their own: they matter where any of the others does, and change nothing where they do not.
_ALONGSIDE = frozenset({"accept", "poll"})
# What carries the shim from Nix, which clears the environment, into the builds.
_INTO_BUILDS = frozenset({"spawn"})


def allowed(settings: Settings) -> frozenset[str]:
    """Give the corrections that ``settings`` leave to be used."""
    if settings.compat == "never":
        return frozenset()
    every = frozenset(shim.CORRECTIONS)
    return every if settings.compat_builds else every - _INTO_BUILDS


def at_first(settings: Settings) -> frozenset[str]:
    """Give what is in force before any defect was looked for."""
    return allowed(settings) if settings.compat == "always" else frozenset()


def curing(defect: Defect, settings: Settings) -> frozenset[str]:
    """Give what ``settings`` leave of what cures ``defect``."""
    return (defect.cures | _ALONGSIDE) & allowed(settings)


def environment(corrections: frozenset[str]) -> Mapping[str, str]:
    """Give the variables that put ``corrections`` in force."""
    if not corrections:
        return {}
    return {"DYLD_INSERT_LIBRARIES": str(SHIM), "DARLINGBUILDER_COMPAT": ",".join(sorted(corrections))}


def session_defect(settings: Settings, world: World) -> Defect | None:
    """Log in as Nix does, and give the first defect that shows. Raises DarlingError if that cannot be tried."""
    nonce, seconds = secrets.token_hex(8), settings.boot_timeout
    said = world.ssh.session(login(settings, world), _script(nonce), timeout=seconds)
    lines = said.stdout.splitlines()
    # One that does not end is Nix's affair, which has a trial of its own.
    if f"{_BEGUN} {nonce}" not in lines:
        late = f"no answer within {seconds} s" if said.code == TIMED_OUT else f"status {said.code}"
        raise DarlingError(f"nobody can log in to the guest: {said.stderr.strip() or late}", hint=_LOGS)
    if lines[0] != f"{_BEGUN} {nonce}":
        return STRAY_LINES
    if f"{_UNLINKED} {nonce}" in lines:
        return LINKS
    return None if f"{_LIVES} {nonce}" in lines else SIGNALS


def uncured(defect: Defect, settings: Settings) -> DarlingError:
    """Give the error that the builder cannot serve with ``defect``, for which nothing more can be done."""
    if settings.compat == "never":
        return DarlingError(
            f"this Darling has a defect, and compat is never: {defect.meaning} ({defect.name})",
            hint='set compat = "auto", which corrects it, and run: darlingbuilder init',
        )
    return DarlingError(
        f"this Darling has a defect that its correction does not cure: {defect.meaning} ({defect.name})",
        hint="please report it with the output of «darlingbuilder doctor», which tells the version of Darling",
    )


def login(settings: Settings, world: World) -> Login:
    """Give the login that Nix has, of nothing but what we ourselves have written."""
    paths = Paths(settings)
    return Login(
        user=settings.user,
        port=settings.sshd_port,
        key=world.host.real(paths.key),
        known_hosts=world.host.real(paths.known_hosts),
        alias=settings.names.alias,
    )


def _script(nonce: str) -> str:
    """Give a script whose answer shows every defect of a session.

    What a fatal signal may end has a process group of its own, which it ends as a whole. Links are wrong where a Nix
    takes a directory into its store, and does not take one with a link in it: one that takes neither, or hangs, says
    nothing of links. It comes last, for nothing comes after it then.
    """
    directory, store = f"/private/tmp/darlingbuilder-{nonce}", f"{GUEST_PROFILE}/bin/nix-store"
    plain, linked = f"{directory}/plain-{nonce}", f"{directory}/linked-{nonce}"
    return (
        f"echo {_BEGUN} {nonce}; (set -m; (yes | head -1 > /dev/null; echo {_LIVES} {nonce}) & wait $!); "
        f"mkdir -p {plain} {linked} && ln -s {nonce} {linked}/link; add() {{ set -m; {store} --add $1 & wait $!; }}; "
        f"if plain=$(add {plain}) && ! add {linked} > /dev/null; then echo {_UNLINKED} {nonce}; fi; "
        # What was refused is in the store nevertheless, but known to nobody by its path.
        f"[[ -z $plain ]] || {store} --delete /nix/store/*-{nonce} > /dev/null 2>&1; "
        f"rm -rf {directory} /nix/store/*-{nonce}.lock"
    )
