"""Which of the shim's corrections this Darling needs, found by what its sshd and its Nix do without them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from darlingbuilder.adapters import process
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import ALIAS, GUEST_PROFILE, SHIM, Paths
from darlingbuilder.core.settings import Settings

_SESSION_SECONDS = 60
# What each line of the probe's answer says is right; a word and the nonce.
_BEGUN, _LINKED, _LIVES = "begun", "linked", "lives"


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
# Without a probe of their own: they matter where any of the others does, and change nothing where they do not.
_ALONGSIDE = frozenset({"accept", "poll"})


def session_defect(settings: Settings) -> Defect | None:
    """Log in as Nix does, and give the first defect that shows. Raises DarlingError if that cannot be tried."""
    nonce = secrets.token_hex(8)
    said = process.run("ssh", *_options(settings), ALIAS, "--", _script(nonce), timeout=_SESSION_SECONDS, check=False)
    lines = said.stdout.splitlines()
    if f"{_BEGUN} {nonce}" not in lines:
        raise DarlingError(
            f"nobody can log in to the guest: {said.stderr.strip() or f'status {said.code}'}",
            hint="see what its sshd says: darlingbuilder logs",
        )
    if lines[0] != f"{_BEGUN} {nonce}":
        return STRAY_LINES
    if f"{_LINKED} {nonce}" not in lines:
        return LINKS
    return None if f"{_LIVES} {nonce}" in lines else SIGNALS


def environment(corrections: frozenset[str], *, builds: bool) -> Mapping[str, str]:
    """Give the variables that put ``corrections`` in force, in builds as well if ``builds`` says so."""
    chosen = corrections if builds else corrections - {"spawn"}
    if not chosen:
        return {}
    return {"DYLD_INSERT_LIBRARIES": str(SHIM), "DARLINGBUILDER_COMPAT": ",".join(sorted(chosen))}


def cured(corrections: frozenset[str], defect: Defect) -> frozenset[str]:
    """Add what cures ``defect``. Raises DarlingError if that is in force already: it does not help."""
    if defect.cures <= corrections:
        raise DarlingError(
            f"this Darling is not cured of a defect: {defect.meaning}",
            hint="please report it with the output of «darlingbuilder doctor» and the version of Darling",
        )
    return corrections | defect.cures | _ALONGSIDE


def refuse(defect: Defect) -> None:
    """Say that the builder cannot serve with this defect and without corrections. Raises DarlingError."""
    raise DarlingError(
        f"this Darling has a defect, and compat is never: {defect.meaning} ({defect.name})",
        hint='set compat = "auto", which corrects it, and run: darlingbuilder init',
    )


def _options(settings: Settings) -> list[str]:
    """Give ssh's options for the guest's sshd, of this machine's configuration nothing."""
    paths = Paths(settings)
    options = {
        "HostName": "127.0.0.1",
        "Port": settings.port,
        "User": settings.user,
        "IdentityFile": paths.key,
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "HostKeyAlias": ALIAS,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": paths.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "ConnectTimeout": 20,
    }
    return ["-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]


def _script(nonce: str) -> str:
    """Give a script whose answer shows every defect of a session; one that kills it leaves its line out.

    A Nix that does not even tell its version says nothing of links; it has a process group of its own, which a fatal
    signal ends as a whole.
    """
    directory, store = f"/private/tmp/darlingbuilder-{nonce}", f"{GUEST_PROFILE}/bin/nix-store"
    answers = f"(set -m; {store} --version & wait $!) > /dev/null 2>&1"
    return (
        f"echo {_BEGUN} {nonce}; mkdir {directory} && ln -s {nonce} {directory}/link; "
        f"if ! {answers} || added=$({store} --add {directory}); then echo {_LINKED} {nonce}; "
        f"[[ -z $added ]] || {store} --delete $added > /dev/null 2>&1; fi; rm -r {directory}; "
        f"yes | head -1 > /dev/null; echo {_LIVES} {nonce}"
    )
