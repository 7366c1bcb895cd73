"""The platform that the builder is for: what of nixpkgs the guest can run, and for how long there is any."""

import datetime as dt

from darlingbuilder.core import compatibility
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, ok, warning

_PIN = "pin nixpkgs for x86_64-darwin to {} at the newest"


def nixpkgs(surroundings: Surroundings) -> Verdict:
    """Say which nixpkgs the guest is good for; warn once no later one than the last can help."""
    table = compatibility.table()
    # The guest itself is not asked: that would need a container.
    macos = min(row.macos for row in table.darling)
    newest, end = compatibility.newest_nixpkgs(macos), table.end
    detail = (
        f"the guest says that it is macOS {macos}: nixpkgs up to {newest}; {end.nixpkgs} is the last with "
        f"x86_64-darwin, with binaries until {end.binaries}"
    )
    if surroundings.today > end.binaries:
        return warning(
            f"{detail}: that is over, and what no cache has kept is built from source", _PIN.format(newest)
        )
    if surroundings.today >= _released(end.nixpkgs):
        return warning(detail, _PIN.format(newest))
    return ok(detail)


def _released(release: str) -> dt.date:
    """Give the first day of the month that ``release`` is named for."""
    year, month = map(int, release.split("."))
    return dt.date(2000 + year, month, 1)
