"""What ``serve`` has systemd say of it while it serves, and what can be read from that."""

import re
from collections.abc import Iterable

_CORRECTIONS = "; corrections in force: "
_NONE = "none"


def told(port: int, corrections: Iterable[str], *, shared_by: str | None) -> str:
    """Say where the builder serves, how the host's store is shared, if so, and which corrections are in force."""
    shared = f", the host's store shared by {shared_by}" if shared_by else ""
    return f"serving on 127.0.0.1:{port}{shared}{_CORRECTIONS}{', '.join(sorted(corrections)) or _NONE}"


def corrections(text: str) -> list[str] | None:
    """Give the corrections that ``told`` has named; None if ``text`` is not of a builder that serves."""
    found = re.fullmatch(rf"serving on .+?{_CORRECTIONS}(.+)", text)
    if found is None:
        return None
    return [] if found[1] == _NONE else found[1].split(", ")


def place(text: str) -> str:
    """Give what ``told`` has said without the corrections; any other ``text`` as it is."""
    return text.partition(_CORRECTIONS)[0]
