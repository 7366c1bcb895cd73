"""Probes of what builds find around them in the guest: names of the network, and a version of macOS."""

import re

from darlingbuilder.adapters.process import Completed
from darlingbuilder.core import compatibility
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites.finding import Verdict, ok, warning
from darlingbuilder.steps.prerequisites.guest import answer, ask, guest
from darlingbuilder.steps.prerequisites.scratch import Scratch, UnseenError, outcome

_HOST = "cache.nixos.org"


def dns(scratch: Scratch) -> Verdict:
    """Have the guest look up a name that the host can look up."""
    limit = scratch.left(3)
    guest(scratch)
    if not scratch.surroundings.resolves(_HOST, limit):
        raise UnseenError(
            f"not looked at: this machine itself does not find {_HOST}",
            hint="nothing, if it has no network; builds that download (fixed-output derivations) fail then",
        )
    said = ask(scratch, f"curl -s -o /dev/null --max-time 5 http://{_HOST}/nix-cache-info; echo curl=$?", seconds=8)
    return judge_dns(said)


def judge_dns(said: Completed) -> Verdict:
    """Read curl's exit status: 6 is an unknown host, 28 no answer in time; others come after the lookup."""
    found = re.search(r"^curl=(\d+)$", said.stdout, re.MULTILINE)
    code = int(found[1]) if found else said.code
    if found is None or code in {2, 126, 127}:
        raise UnseenError(
            f"the guest cannot run curl: {outcome(said, 0)}", hint="try by hand: darling shell curl http://" + _HOST
        )
    hint = "look at /etc/resolv.conf, which the guest reads at /Volumes/SystemRoot/etc; try another name server"
    if code == 6:  # noqa: PLR2004 - as above
        return warning(f"{_HOST} is not found in the guest, though the host finds it", hint, code)
    if code == 28:  # noqa: PLR2004 - as above
        return warning(f"{_HOST} does not answer within 5 s", hint, code)
    return ok(f"{_HOST} is found", code)


def identity(scratch: Scratch) -> Verdict:
    """Ask the guest which macOS it is."""
    told = answer(scratch, "sw_vers -productVersion", r"\d+(?:\.\d+)*")
    return judge_identity(told, chosen_nix(scratch.surroundings.settings))


def judge_identity(told: str, nix: str) -> Verdict:
    """Compare the macOS that the guest says it is with what nixpkgs' releases, and so the guest's Nix, need."""
    major = int(told.partition(".")[0])
    # Sorted by release in the table; the guest's Nix itself is of nixpkgs, too.
    served = [row.release for row in compatibility.table().nixpkgs if major >= row.macos]
    beyond = [(row.release, row.macos) for row in compatibility.table().nixpkgs if major < row.macos]
    detail = f"macOS {told}, for {nix}"
    if not beyond:
        return ok(f"{detail}: enough for nixpkgs {served[-1]} and later", told)
    release, least = beyond[0]
    if not served:
        return warning(
            f"{detail}: nixpkgs {release}, and a Nix of it, need macOS {least}", "install a newer Darling", told
        )
    return warning(
        f"{detail}: enough for nixpkgs {served[-1]}; {release} and later need macOS {least}",
        f"take Nix and packages of nixpkgs {served[-1]} or older; programs of later ones may miss symbols",
        told,
    )


def chosen_nix(settings: Settings) -> str:
    """Name the Nix that the settings choose for the guest."""
    nix = settings.nix
    return nix.tarball or nix.package or f"Nix {nix.version or compatibility.table().default_nix}"
