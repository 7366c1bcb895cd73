"""Probes of the Darling itself, all of them: what works, what does not, and what that means for builds."""

from darlingbuilder.core.errors import BuilderError
from darlingbuilder.steps.prerequisites import container, guestcalls, guestprocesses, guestssh, guestworld
from darlingbuilder.steps.prerequisites.finding import Finding, Surroundings
from darlingbuilder.steps.prerequisites.scratch import Probe, UnseenError, made

_ISSUES = "https://github.com/darlinghq/darling/issues"
_DARLING = "https://docs.darlinghq.org"
_NIXPKGS = "https://nixos.org/manual/nixpkgs/stable/release-notes"

PROBES = (
    Probe(
        "version", "what Darling this is; a launcher that cannot say it boots no guest", container.version, _DARLING
    ),
    Probe(
        "boot",
        "the builder's guest is no root: it must boot for an ordinary user",
        container.unprivileged_boot,
        _DARLING,
    ),
    Probe("first boot", "a new prefix is ready that much later", container.first_boot, f"{_ISSUES}/1613"),
    Probe(
        "boot output",
        "none for builds; a call that boots the container and whose output is captured never ends",
        container.held_output,
        f"{_ISSUES}/1510",
    ),
    Probe("exit status", "without it nobody can tell a command that failed", guestprocesses.status, _ISSUES),
    Probe(
        "exit after kill",
        "a command in the guest that is killed (no memory) seems to be done",
        guestprocesses.killed,
        _ISSUES,
    ),
    Probe(
        "process group",
        "«yes | head -1» and ending a background job kill the whole build: «due to signal 13», 15",
        guestprocesses.group,
        _ISSUES,
    ),
    Probe("sshd ipv4", "the host's Nix connects to 127.0.0.1", guestssh.ipv4, _ISSUES),
    Probe("sshd output", "one stray byte in a session breaks Nix's protocol", guestssh.output, _ISSUES),
    Probe("lchflags", "Nix calls it on all it registers; an output with a link fails", guestcalls.lchflags, _ISSUES),
    Probe("renameatx_np", "programs that swap files at once fail; Nix does not", guestcalls.renameatx_np, _ISSUES),
    Probe("clonefile", "copies cost their whole size; Nix does not need it", guestcalls.clonefile, _ISSUES),
    Probe(
        "open files", "Nix closes each one before a build, and each close costs", guestprocesses.open_files, _ISSUES
    ),
    Probe("dns", "fixed-output derivations download in the guest", guestworld.dns, _ISSUES),
    Probe(
        "identity",
        "nixpkgs builds for a macOS that must not be newer than the guest's",
        guestworld.identity,
        _NIXPKGS,
    ),
    Probe("shutdown", "a container that does not end keeps the unit from stopping", container.shutdown, _DARLING),
)


def examine(surroundings: Surroundings) -> list[Finding]:
    """Probe the Darling in a prefix of its own; a finding for each probe, whatever happens, within a minute."""
    if surroundings.uid != 0:
        needs_root = UnseenError("not looked at: booting a guest as another user takes root", hint="run it with sudo")
        return [probe.unseen(needs_root) for probe in PROBES]
    findings: list[Finding] = []
    try:
        surroundings.world.darling.launcher()
        with made(surroundings) as place:
            findings += [probe.find(place) for probe in PROBES]
    except BuilderError as error:
        return completed(findings, error)
    except OSError as error:
        return completed(findings, UnseenError(f"not looked at: {error}", hint="look at the disk of «state»"))
    return findings


def completed(findings: list[Finding], error: BuilderError) -> list[Finding]:
    """Say of the probes that were not made why; where all were, it is the end that went wrong."""
    kept = findings[: len(PROBES) - 1]
    return [*kept, *(probe.unseen(error) for probe in PROBES[len(kept) :])]
