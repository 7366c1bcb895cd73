"""System calls in the guest, tried by the small Mach-O program that is built beside the compat shim."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from darlingbuilder.steps.prerequisites import cure
from darlingbuilder.steps.prerequisites.finding import Verdict, ok, warning
from darlingbuilder.steps.prerequisites.guest import ask, guest
from darlingbuilder.steps.prerequisites.scratch import Scratch, UnseenError, outcome

_PROGRAM = "probe"
_PLACE = Path("/private/tmp/darlingbuilder-probe")
_REFUSALS = frozenset({"ok", "ENOTSUP", "EOPNOTSUPP"})


def lchflags(scratch: Scratch) -> Verdict:
    """Clear the flags of a symbolic link."""
    return judge_lchflags(_said(scratch, "lchflags"))


def judge_lchflags(told: str) -> Verdict:
    """Say whether Nix takes the answer: it does of success and of ENOTSUP."""
    if told in _REFUSALS:
        return ok(f"{told} for a symbolic link, which Nix takes", told)
    if told == "EINVAL":
        return warning("EINVAL for a symbolic link", cure.hint("lchflags"), told)
    return warning(
        f"{told} for a symbolic link, which Nix does not take", "report it to darlingbuilder: no shim is known", told
    )


def renameatx_np(scratch: Scratch) -> Verdict:
    """Swap two files."""
    return judge_call("renameatx_np", _said(scratch, "renameatx_np"))


def clonefile(scratch: Scratch) -> Verdict:
    """Clone a file."""
    return judge_call("clonefile", _said(scratch, "clonefile"))


def judge_call(name: str, told: str) -> Verdict:
    """Say whether there is such a call at all: that a file system refuses it is usual on macOS, too."""
    if told in _REFUSALS:
        return ok(told, told)
    return warning(
        f"{name} gives {told}", "nothing for Nix; a package that needs it cannot be built or tested here", told
    )


def answers(text: str) -> Mapping[str, str]:
    """Read what the program prints; Darling may put lines of its own among them."""
    return dict(re.findall(r"^(\w+): (ok|E\w+)$", text, re.MULTILINE))


def _said(scratch: Scratch, name: str) -> str:
    told = scratch.once(_run)
    if name not in told:
        raise UnseenError(f"the guest's {_PROGRAM} does not tell of {name}", hint="install darlingbuilder anew")
    return told[name]


def _run(scratch: Scratch) -> Mapping[str, str]:
    darling, owner = guest(scratch), scratch.account.owner
    try:
        program = (resources.files("darlingbuilder") / "guest" / _PROGRAM).read_bytes()
    except FileNotFoundError:
        raise UnseenError(
            "not looked at: the probe for the guest was not built into this darlingbuilder",
            hint="install darlingbuilder from its wheel, which has it built",
        ) from None
    darling.files().make_directory(_PLACE, mode=0o700, owner=owner)
    darling.files().write(_PLACE / _PROGRAM, program, mode=0o700, owner=owner)
    darling.files().make_directory(_PLACE / "files", mode=0o700, owner=owner)
    said = ask(scratch, f"{_PLACE}/{_PROGRAM} {_PLACE}/files")
    told = answers(said.stdout)
    if not told:
        raise UnseenError(
            f"the guest cannot run the probe: {outcome(said, 0)}",
            hint="nothing, if this is no real Darling; otherwise no Mach-O program starts in it",
        )
    return told
