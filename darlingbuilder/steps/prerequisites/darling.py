"""Probes of the Darling itself: what works, what does not, and what that means for builds."""

import re
import time

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.process import Completed
from darlingbuilder.core import compatibility
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import cure, guestcalls, guestssh
from darlingbuilder.steps.prerequisites.finding import Finding, Surroundings, Verdict, failure, ok, warning
from darlingbuilder.steps.prerequisites.guest import (
    QUESTION_SECONDS,
    STATUS,
    Boot,
    answer,
    ask,
    boot,
    first_question,
    guest,
)
from darlingbuilder.steps.prerequisites.scratch import (
    PREFIXES,
    VERSION,
    Probe,
    Scratch,
    UnseenError,
    made,
    outcome,
    shown,
)

_ISSUES = "https://github.com/darlinghq/darling/issues"
_DARLING = "https://docs.darlinghq.org"
_NIXPKGS = "https://nixos.org/manual/nixpkgs/stable/release-notes"
_HOST = "cache.nixos.org"
_VERSION_SECONDS = 5.0
_SLOW_BOOT = 10.0
_SLOW_END = 5.0
_LOST = 128 + 9
_TERMINATED = 128 + 15
_BY_HAND = "run it by hand: darling shell"


def version(scratch: Scratch) -> Verdict:
    """Ask the launcher for its version."""
    limit = scratch.left(_VERSION_SECONDS)
    return judge_version(scratch.darling(VERSION).version(timeout=limit), limit)


def judge_version(said: Completed, seconds: float) -> Verdict:
    """Look for the line «PROGRAM BRANCH @ COMMIT» in what «darling --version» has printed."""
    found = re.search(r"^\S+ (\S.*) @ (\w\S*)$", f"{said.stdout}\n{said.stderr}", re.MULTILINE)
    if said.code != 0 or found is None or not found[0].isprintable():
        return failure(
            f"«darling --version»: {outcome(said, seconds)}",
            "name Darling's own launcher with the setting «darling»; a launcher that hangs or crashes is broken",
        )
    return ok(shown(f"{found[1]} @ {found[2]}"), shown(found[2]))


def unprivileged_boot(scratch: Scratch) -> Verdict:
    """Boot a container as an ordinary user."""
    return judge_boot(scratch.once(boot), scratch.account.name)


def judge_boot(booted: Boot, user: str) -> Verdict:
    """Say whether there is a container now, and at which attempt."""
    seconds = round(booted.seconds, 2)
    if booted.darling is None:
        return failure(booted.complaint, "look at dmesg, and see to the failures above", seconds)
    if booted.first_failed:
        return warning(
            f"as {user}, at the second attempt; the first: {booted.complaint}",
            "nothing: every boot is tried twice",
            seconds,
        )
    return ok(f"as {user}", seconds)


def first_boot(scratch: Scratch) -> Verdict:
    """Say how long the boot has taken."""
    guest(scratch)
    return judge_first_boot(scratch.once(boot).seconds, scratch.surroundings.settings)


def judge_first_boot(seconds: float, settings: Settings) -> Verdict:
    """Compare the time of a first boot with what is usual, and with what a boot may take."""
    figure, detail = round(seconds, 2), f"{seconds:.1f} s"
    if seconds > min(_SLOW_BOOT, settings.boot_timeout / 2):
        return warning(
            f"{detail}; 2 s are usual, {settings.boot_timeout} s are allowed",
            "look at the machine's load and disk, or raise «boot_timeout»",
            figure,
        )
    return ok(detail, figure)


def held_output(scratch: Scratch) -> Verdict:
    """Look whether the server keeps what the call that booted it was given as its output."""
    logs = {str(scratch.log(name)) for name in PREFIXES}
    return judge_held_output(
        held=any(logs & procfs.open_files(found.pid) for found in guest(scratch).processes()),
    )


def judge_held_output(*, held: bool) -> Verdict:
    """Say what it means that the container holds the output of its boot."""
    if held:
        return warning(
            "the container keeps the output of the call that boots it",
            "nothing: the builder boots it with a file; in scripts of your own: darling shell true >/dev/null 2>&1",
            "held",
        )
    return ok("not held", "not held")


def status(scratch: Scratch) -> Verdict:
    """Run a command that ends with a status of its own."""
    return judge_status(scratch.once(first_question))


def judge_status(said: Completed) -> Verdict:
    """Say whether a command's status comes through."""
    if said.code == STATUS:
        return ok(f"{STATUS} comes back as {STATUS}", STATUS)
    return failure(f"a command that ends with {STATUS}: {outcome(said, QUESTION_SECONDS)}", _BY_HAND, said.code)


def killed(scratch: Scratch) -> Verdict:
    """Run a command that is ended by SIGKILL."""
    return judge_killed(ask(scratch, "kill -9 $$").code)


def judge_killed(code: int) -> Verdict:
    """Say whether a command that was killed can be told from one that went well."""
    if code == 0:
        return warning(
            "a command that SIGKILL has ended gives 0",
            "nothing: the builder asks for a word that only success prints; do the same in scripts of your own",
            code,
        )
    if code == _LOST:
        return ok(f"{code}", code)
    return ok(f"{code}, not 0", code)


def group(scratch: Scratch) -> Verdict:
    """Run a script one of whose children is ended by SIGTERM."""
    return judge_group(ask(scratch, "bash -c 'kill -TERM $$'; echo survived=$?"))


def judge_group(said: Completed) -> Verdict:
    """Say whether the signal has ended more than the process that it was for."""
    survived = re.search(r"^survived=(\d+)$", said.stdout, re.MULTILINE)
    if survived is None:
        return warning(
            f"SIGTERM to a child ends its parent, too ({outcome(said, 0)})", cure.hint("signals"), said.code
        )
    code = int(survived[1])
    if code == _TERMINATED:
        return ok("a signal ends the process that it is for, alone", code)
    return warning(f"a child that SIGTERM ends gives {code}, not {_TERMINATED}", _BY_HAND, code)


def open_files(scratch: Scratch) -> Verdict:
    """Ask for the soft limit of open files: in the builder's own container if it is up."""
    settings, builder = scratch.surroundings.settings, scratch.surroundings.world.darling
    question = "ulimit -Sn"
    if builder.server() is None:
        return judge_open_files(answer(scratch, question, r"\d+|unlimited"), settings.nofile, "a new container")
    limit = scratch.left(_VERSION_SECONDS)
    said = builder.run("bash", "-c", question, timeout=limit)
    found = re.findall(r"^(\d+|unlimited)$", said.stdout, re.MULTILINE)
    if not found:
        raise UnseenError(f"«{question}» in the builder: {outcome(said, limit)}", hint="see: darlingbuilder status")
    return judge_open_files(found[-1], settings.nofile, "the builder's container")


def judge_open_files(told: str, wanted: int, where: str) -> Verdict:
    """Compare the limit with the one that is set: Nix closes each descriptor before it starts a builder."""
    detail = f"{told} in {where}"
    figure = int(told) if told.isdigit() else told
    if isinstance(figure, int) and figure <= wanted:
        return ok(detail, figure)
    return warning(
        f"{detail}; {wanted} are set",
        "see what raises it: systemctl cat «the unit»; then: darlingbuilder restart",
        figure,
    )


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


def shutdown(scratch: Scratch) -> Verdict:
    """Bring the container down, and look what is left of it."""
    darling = guest(scratch)
    began = time.monotonic()
    darling.shutdown()
    return judge_shutdown(time.monotonic() - began, left=len(darling.processes()))


def judge_shutdown(seconds: float, *, left: int) -> Verdict:
    """Say whether the container has ended soon, and whole."""
    figure = round(seconds, 2)
    if left:
        return warning(f"{left} processes are left after {seconds:.1f} s", "look at them with ps and dmesg", figure)
    if seconds > _SLOW_END:
        return warning(f"{seconds:.1f} s; 2 s are usual", "look at the machine's load", figure)
    return ok(f"{seconds:.1f} s, nothing is left", figure)


PROBES = (
    Probe("version", "what Darling this is; a launcher that cannot say it boots no guest", version, _DARLING),
    Probe("boot", "the builder's guest is no root: it must boot for an ordinary user", unprivileged_boot, _DARLING),
    Probe("first boot", "a new prefix is ready that much later", first_boot, f"{_ISSUES}/1613"),
    Probe(
        "boot output",
        "none for builds; a call that boots the container and whose output is captured never ends",
        held_output,
        f"{_ISSUES}/1510",
    ),
    Probe("exit status", "without it nobody can tell a command that failed", status, _ISSUES),
    Probe("exit after kill", "a command in the guest that is killed (no memory) seems to be done", killed, _ISSUES),
    Probe(
        "process group",
        "«yes | head -1» and ending a background job kill the whole build: «due to signal 13», 15",
        group,
        _ISSUES,
    ),
    Probe("sshd ipv4", "the host's Nix connects to 127.0.0.1", guestssh.ipv4, _ISSUES),
    Probe("sshd output", "one stray byte in a session breaks Nix's protocol", guestssh.output, _ISSUES),
    Probe("lchflags", "Nix calls it on all it registers; an output with a link fails", guestcalls.lchflags, _ISSUES),
    Probe("renameatx_np", "programs that swap files at once fail; Nix does not", guestcalls.renameatx_np, _ISSUES),
    Probe("clonefile", "copies cost their whole size; Nix does not need it", guestcalls.clonefile, _ISSUES),
    Probe("open files", "Nix closes each one before a build, and each close costs", open_files, _ISSUES),
    Probe("dns", "fixed-output derivations download in the guest", dns, _ISSUES),
    Probe("identity", "nixpkgs builds for a macOS that must not be newer than the guest's", identity, _NIXPKGS),
    Probe("shutdown", "a container that does not end keeps the unit from stopping", shutdown, _DARLING),
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
