"""``doctor``: what the machine must bring along, and what of it is missing."""

from argparse import Namespace
from collections.abc import Sequence

import msgspec

from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.instance import DEFAULT
from darlingbuilder.steps import preflight
from darlingbuilder.steps.prerequisites.finding import Finding, Level
from darlingbuilder.verbs import as_typed

_INDENT = " " * 10


class DoctorView(msgspec.Struct, frozen=True):
    """What ``doctor --json`` prints; ``ok``: nothing stands in the way of ``init``."""

    ok: bool
    findings: Sequence[Finding]


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print every finding; the exit code says whether one of them is a failure."""
    findings = preflight.examine(context.called.settings, context.world)
    failed = preflight.failures(findings)
    if arguments.json:
        say_json(DoctorView(ok=not failed, findings=findings))
    else:
        say(text(findings, context.called.settings.instance, made=context.marker is not None))
    return ExitCode.PREREQUISITE if failed else ExitCode.OK


def text(findings: Sequence[Finding], instance: str = DEFAULT, *, made: bool = True) -> str:
    """Give the findings for people: a line each, reason and hint below what is not as it should be.

    Where there is no builder yet and nothing stands in its way, the end says how to make it.
    """
    width = max(len(found.name) for found in findings)
    lines = []
    for found in findings:
        lines.append(f"{found.level.value:9} {found.name:{width}}  {found.detail}")
        if found.level is not Level.OK:
            lines += [f"{_INDENT}why: {found.reason}", f"{_INDENT}do:  {as_typed(found.hint, instance)}"]
            lines += [f"{_INDENT}see: {found.link}"] if found.link else []
    ready = not made and not preflight.failures(findings)
    following = [as_typed("Next: darlingbuilder init", instance)] if ready else []
    return "\n".join([*lines, _summary(findings), *following])


def _summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(found.level is level for found in findings) for level in Level}
    return (
        f"{counts[Level.OK]} of {len(findings)} are right, "
        f"{counts[Level.WARNING]} may give trouble, {counts[Level.FAILURE]} must be mended"
    )
