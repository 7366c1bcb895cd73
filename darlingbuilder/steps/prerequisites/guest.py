"""The container in which the probes run: its one boot, and questions to its shell."""

import re
import time
from dataclasses import dataclass

from darlingbuilder.adapters.darling import Darling
from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.core.errors import BuilderError, DarlingError, PrerequisiteError
from darlingbuilder.steps.prerequisites.scratch import (
    BOOT_SECONDS,
    FIRST,
    SECOND,
    Scratch,
    UnseenError,
    outcome,
    tail,
)

QUESTION_SECONDS = 5.0
STATUS = 42


@dataclass(frozen=True, slots=True)
class Boot:
    """What became of a boot. ``darling`` is None if there is no container; ``complaint``: what went wrong, if any."""

    darling: Darling | None
    seconds: float
    complaint: str = ""
    first_failed: bool = False


def boot(scratch: Scratch) -> Boot:
    """Boot a new prefix; if that fails at once, another one, for the second may work (darling#1613)."""
    first = _boot(scratch, FIRST)
    if first.darling or first.seconds >= BOOT_SECONDS:
        return first
    second = _boot(scratch, SECOND)
    return Boot(second.darling, second.seconds, second.complaint or first.complaint, first_failed=True)


def guest(scratch: Scratch) -> Darling:
    """Give the container. Raises UnseenError if it did not boot."""
    booted = scratch.once(boot).darling
    if booted is None:
        raise UnseenError("not looked at: the guest does not boot", hint="see to «boot» first")
    return booted


def first_question(scratch: Scratch) -> Completed:
    """Run a command that ends with STATUS; where this does not end, nothing else is tried."""
    return guest(scratch).run("bash", "-c", f"exit {STATUS}", timeout=scratch.left(QUESTION_SECONDS))


def responsive(scratch: Scratch) -> Darling:
    """Give the container. Raises UnseenError if it did not boot, or does not answer."""
    if scratch.once(first_question).code == TIMED_OUT:
        raise UnseenError("not looked at: the guest does not answer", hint="see to «exit status» first")
    return guest(scratch)


def ask(scratch: Scratch, script: str, *, seconds: float = QUESTION_SECONDS) -> Completed:
    """Run a script of bash in the container. Raises UnseenError if it does not end."""
    darling, limit = responsive(scratch), scratch.left(seconds)
    said = darling.run("bash", "-c", script, timeout=limit)
    if said.code == TIMED_OUT:
        raise UnseenError(f"«{script}» in the guest: {outcome(said, limit)}", hint="run it by hand: darling shell")
    return said


def answer(scratch: Scratch, script: str, pattern: str, *, seconds: float = QUESTION_SECONDS) -> str:
    """Give the last line of what a script prints that is ``pattern``: Darling puts lines of its own among them."""
    said = ask(scratch, script, seconds=seconds)
    lines = re.findall(rf"^{pattern}$", said.stdout, re.MULTILINE)
    if not lines:
        raise UnseenError(
            f"the guest cannot run «{script}»: {outcome(said, seconds)}", hint="run it by hand: darling shell"
        )
    return str(lines[-1])


def _boot(scratch: Scratch, name: str) -> Boot:
    darling, log = scratch.darling(name), scratch.log(name)
    began = time.monotonic()
    try:
        with log.open("ab") as file:
            darling.boot(file)
    except PrerequisiteError:
        raise
    except (DarlingError, OSError) as error:
        printed = tail(log)
        complaint = f"{error}" + (f"; printed: {printed}" if printed else "")
        return Boot(None, time.monotonic() - began, complaint)
    except BuilderError as error:
        return Boot(None, time.monotonic() - began, str(error))
    return Boot(darling, time.monotonic() - began)
