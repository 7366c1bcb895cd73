"""What a probe's hint says of a defect that the compat shim corrects."""

from darlingbuilder.core import shim

_IN_BUILDS = "; for builds it takes compat_builds = true, the default"


def hint(correction: str) -> str:
    """Say that the builder corrects the defect by itself, by what, what that means, and when it does not."""
    return (
        f'nothing: compat = "auto", the default, cures it: the builder finds this at its start and preloads the '
        f"shim's correction «{correction}» ({shim.CORRECTIONS[correction]})"
        f'{_IN_BUILDS if correction == "signals" else ""}; with compat = "never" it remains'
    )
