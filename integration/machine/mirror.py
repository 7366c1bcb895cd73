"""The Debian archive that this machine's own apt uses, as a source of other suites."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .commands import CommandError, run

# Says it where apt does not: on another distribution, or to use another mirror than apt's.
VARIABLE = "DEBIAN_MIRROR"

# Of the package debian-archive-keyring, which knows the keys of every suite; it has had both names.
KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp"))

_FIELDS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)"
_MIRROR_LIST = "mirror+file:"


class MirrorError(Exception):
    """No Debian archive is known; the message says how to name one."""


@dataclass(frozen=True, slots=True)
class Target:
    """What apt fetches of one suite; ``entry``: the file that says so, and which of its entries."""

    uri: str
    release: str
    component: str
    entry: str


def source(suite: str, *, options: str = "") -> str:
    """Give the line of sources.list for ``suite``; ``options`` are added to its own. Raises MirrorError."""
    uri, own_keys = _archive(os.environ)
    keys = ",".join(map(str, dict.fromkeys((_keyring(), *own_keys))))
    return f"deb [{' '.join(filter(None, (f'signed-by={keys}', options)))}] {uri} {suite} main"


def choose(targets: list[Target]) -> Target | None:
    """Pick the target that is Debian's archive itself, not its updates nor somebody else's packages."""
    suites = {(target.uri, target.release) for target in targets}
    candidates = [
        target for target in targets if target.component == "main" and not re.search(r"[-/]", target.release)
    ]
    # Nobody but Debian has updates beside a suite; still, they need not be among the sources.
    return min(candidates, key=lambda target: (target.uri, f"{target.release}-updates") not in suites, default=None)


def _archive(environment: Mapping[str, str]) -> tuple[str, list[Path]]:
    """Give the archive's address, and the keys that apt wants it to be signed with."""
    if named := environment.get(VARIABLE):
        return named, []
    chosen = choose(list(_targets()))
    if chosen is None:
        raise MirrorError(f"apt has no Debian archive among its sources; name a mirror of it: {VARIABLE}=URL")
    return _address(chosen.uri), signed_by(chosen.entry)


def _targets() -> Iterator[Target]:
    """List what apt would fetch, whether it has ever done so or not."""
    if shutil.which("apt-get") is None:
        raise MirrorError(f"this machine has no apt that could tell a Debian mirror; name one: {VARIABLE}=URL")
    listing = ("apt-get", "indextargets", "--no-release-info", "--format", _FIELDS, "Created-By: Packages")
    try:
        lines = run(listing).stdout.splitlines()
    except CommandError as error:
        raise MirrorError(
            f"apt cannot read its sources; mend them, or name a mirror: {VARIABLE}=URL\n{error}"
        ) from error
    return (Target(*line.split("|")) for line in lines)


def _address(uri: str) -> str:
    """Give ``uri``; of a list of mirrors (Debian's cloud images have one) the first that it names."""
    if not uri.startswith(_MIRROR_LIST):
        return uri
    file = Path(uri.removeprefix(_MIRROR_LIST).rstrip("/"))
    words = (line.split() for line in file.read_text().splitlines())
    found = next((line[0] for line in words if line and not line[0].startswith("#")), None)
    if found is None:
        raise MirrorError(f"{file} names no mirror; name one: {VARIABLE}=URL")
    return found


def signed_by(entry: str) -> list[Path]:
    """List the keyring files that an entry of apt's sources («FILE:NUMBER») names."""
    name, _, number = entry.rpartition(":")
    text = Path(name).read_text()
    if name.endswith(".sources"):
        stanzas = [stanza for stanza in re.split(r"\n\s*\n", text) if re.search(r"(?mi)^Types:", stanza)]
        found = re.search(r"(?mi)^Signed-By:(.*)", stanzas[int(number) - 1])
    else:
        found = re.search(r"\[.*?signed-by=([^\s\]]*)", text.splitlines()[int(number) - 1])
    words = re.split(r"[\s,]+", found[1]) if found else []
    # An entry may also hold the key itself, or fingerprints of keys that apt knows.
    return [Path(word) for word in words if word.startswith("/")]


def _keyring() -> Path:
    found = next((path for path in KEYRINGS if path.is_file()), None)
    if found is None:
        raise MirrorError(f"{KEYRINGS[0]} is missing: apt install debian-archive-keyring")
    return found
