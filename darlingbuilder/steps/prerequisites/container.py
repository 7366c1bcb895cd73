"""Probes of the container's life: the launcher that makes it, its boot, what it keeps of that, its end."""

import re
import time

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.process import Completed
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites.finding import Verdict, failure, ok, warning
from darlingbuilder.steps.prerequisites.guest import Boot, boot, guest
from darlingbuilder.steps.prerequisites.scratch import PREFIXES, VERSION, Scratch, outcome, shown

_VERSION_SECONDS = 5.0
_SLOW_BOOT = 10.0
_SLOW_END = 5.0


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
