"""The host's Nix: new enough, and one that leaves Darwin's derivations to the builder."""

from collections.abc import Iterable

from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning

OLDEST = (2, 8)
_SYSTEM = "x86_64-darwin"


def version(surroundings: Surroundings) -> Verdict:
    """Ask the host's Nix for its version."""
    found = surroundings.world.nix.version()
    if found < OLDEST:
        return failure(
            f"{_dotted(found)} is older than {_dotted(OLDEST)}",
            "upgrade it: https://nix.dev/manual/nix/stable/installation/upgrading",
        )
    return ok(_dotted(found))


def platforms(surroundings: Surroundings) -> Verdict:
    """Look whether the host's Nix means to build for Darwin itself."""
    try:
        settings = surroundings.world.nix.settings()
    except PrerequisiteError as error:
        return warning("not looked at: there is no Nix", error.hint)
    for name in ("system", "extra-platforms"):
        if _SYSTEM in _words(settings.get(name)):
            return failure(
                f"the host's nix.conf says {name} = … {_SYSTEM} …: it would start Darwin's programs itself",
                f"take {_SYSTEM} out of {name}, then: systemctl restart nix-daemon",
            )
    return ok(f"{_SYSTEM} is left to builders")


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(word) for word in value] if isinstance(value, Iterable) else []


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
