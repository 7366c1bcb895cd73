"""The entries of a Nix machines file: a builder each, and how such texts include one another.

Read in libstore/machines.cc of 2.8.0, 2.26.3 and 2.34.8, which all agree that

- ``builders`` and every file that it includes are cut at newlines and at ``;``, and an entry is cut at ``#``;
- ``@PATH`` includes a file, at any depth, and a file that is missing counts as empty.

The older two differ from 2.34 in what has to be avoided for their sake:

- they cut at ``;`` before they look for ``#``: a semicolon in a comment begins an entry, which Nix then cannot parse;
- they see an include only if ``@`` is the entry's very first character (the result of ``trim`` is dropped), so that
  ``X ; @FILE`` is a machine named ``@FILE`` to them: it must be ``X;@FILE``;
- an entry of blanks alone is an error.
"""

import base64
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from darlingbuilder.core.settings import Settings

SYSTEM = "x86_64-darwin"
_UNSET = "-"
_FIELDS = 8
_DEFAULTS = ("", "", "", "1", "1", "", "", "")
# Without a scheme a word is a host for ssh, but for paths and the names of Nix's own stores.
_OWN_STORES = re.compile(r".*/|(auto|daemon|local)(\?|\Z)|\?")
_SSH = re.compile(
    r"(?P<scheme>ssh|ssh-ng)://((?P<user>[^@/?]+)@)?(?P<host>\[[^]/?]+\]|[^:/?@\[\]]+)(:(?P<port>[0-9]{1,5}))?(/|\?|\Z)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where ssh finds a machine; ``user`` and ``port``: empty for what ssh's own configuration says."""

    scheme: str
    user: str
    host: str
    port: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A builder, as its line describes it; ``host_key`` is the whole line of its public key, if it is pinned.

    While a key is replaced that text has a second line, a known_hosts entry of its own. Nix decodes the field and
    writes «HOST » and what it holds to a known_hosts file of its own, newlines included (libstore/ssh.cc, in 2.8.0,
    2.26.3 and 2.34.8), so ssh takes either key.
    """

    uri: str
    systems: tuple[str, ...]
    key: str
    jobs: str
    speed: str
    supported: tuple[str, ...]
    mandatory: tuple[str, ...]
    host_key: str

    @property
    def host(self) -> str:
        """The host in the URI, without user, port and parameters."""
        return re.sub(r"^([^:/]*://)?([^@/]*@)?|[:/?].*$", "", self.uri)

    @property
    def store(self) -> str:
        """The URI as Nix completes it: without a scheme it is ssh's."""
        return self.uri if "://" in self.uri or _OWN_STORES.match(self.uri) else f"ssh://{self.uri}"

    @property
    def place(self) -> Place | None:
        """Where ssh finds it; None for a store that Nix reaches otherwise, or a name that is an option to ssh."""
        found = _SSH.match(self.store)
        if not found or found["host"].startswith("-") or (found["user"] or "").startswith("-"):
            return None
        port = found["port"] or self._parameter("port")  # the latter is Lix's way
        return Place(
            found["scheme"], found["user"] or "", found["host"].strip("[]"), port if port.isdecimal() else ""
        )

    @property
    def login_key(self) -> str:
        """The private key that Nix logs in with: the line's, or else the URI's; empty for ssh's own choice."""
        return self.key or self._parameter("ssh-key")

    @property
    def pinning(self) -> str:
        """What Nix writes behind the host's name in a known_hosts, from the line or else the URI; empty if none."""
        try:
            return self.host_key or base64.b64decode(self._parameter("base64-ssh-public-host-key")).decode()
        except ValueError:
            return ""

    @property
    def pinned(self) -> tuple[str, ...]:
        """Every host key that Nix takes, as «type base64»; none where it leaves that to ssh."""
        first, *others = [line.split() for line in self.pinning.splitlines()] or [[]]
        return tuple(" ".join(words) for words in (first[:2], *(other[1:3] for other in others)) if words)

    @property
    def line(self) -> str:
        """The line, without its newline."""
        pinned = base64.b64encode(self.host_key.encode()).decode()
        lists = (self.supported, self.mandatory)
        fields = (
            self.uri,
            ",".join(self.systems),
            self.key,
            self.jobs,
            self.speed,
            *(",".join(names) for names in lists),
            pinned,
        )
        return " ".join(field or _UNSET for field in fields)

    def _parameter(self, name: str) -> str:
        return dict(parse_qsl(self.uri.partition("?")[2])).get(name, "")


def jobs(settings: Settings) -> int:
    """Give how many builds at once our builder is offered for."""
    return (os.cpu_count() or 1) if settings.max_jobs == "auto" else settings.max_jobs


def ours(settings: Settings, host_key: str, *others: str) -> Machine:
    """Describe our builder, pinned to the public key line ``host_key``, or to one of ``others``.

    A line for ssh:// needs no more than one for ssh-ng://: Nix itself limits it to one connection, and the guest's
    sshd gives its sessions a PATH with Nix on it, which spares the URI a ``remote-program``.
    """
    return Machine(
        uri=f"{settings.protocol}://{settings.names.alias}",
        systems=(SYSTEM,),
        key=settings.key,
        jobs=str(jobs(settings)),
        speed=str(settings.speed_factor),
        supported=tuple(settings.supported_features),
        mandatory=tuple(settings.mandatory_features),
        host_key=pins(settings.names.alias, host_key, *others),
    )


def out_of_service(settings: Settings) -> Machine:
    """Describe our builder while it serves nobody: a name that ssh fails to reach at once, and that Nix then says."""
    return replace(ours(settings, ""), uri=f"{settings.protocol}://{settings.names.out_of_service}")


def pins(alias: str, host_key: str, *others: str) -> str:
    """Give the text that pins ``alias`` to the public key line ``host_key``, or to one of ``others``."""
    return "".join([host_key.rstrip("\n") + "\n" if others else host_key, *(f"{alias} {line}" for line in others)])


def parse(line: str) -> Machine:
    """Read a machines line. Raises ValueError where the pinned key is not base64 of text."""
    given = ["" if field == _UNSET else field for field in line.split()]
    fields = [field or default for field, default in zip(_padded(given), _DEFAULTS, strict=True)]
    uri, systems, key, jobs, speed, supported, mandatory, pinned = fields
    return Machine(
        uri=uri,
        systems=_names(systems),
        key=key,
        jobs=jobs,
        speed=speed,
        supported=_names(supported),
        mandatory=_names(mandatory),
        host_key=base64.b64decode(pinned, validate=True).decode(),
    )


def find(entries: Iterable[str], alias: str) -> Machine | None:
    """Find our builder, by its ``alias``, among ``entries``, whoever wrote its line; None if it is not there."""
    return next((machine for machine in _of_system(entries) if machine.host == alias), None)


def others(entries: Iterable[str], alias: str) -> list[Machine]:
    """List what among ``entries`` Nix may choose in the place of our builder, which it knows by its ``alias``."""
    return [machine for machine in _of_system(entries) if machine.host != alias]


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a ``builders`` setting comes to: the machines' entries, and every file that was included."""

    entries: tuple[str, ...]
    files: frozenset[Path]


def expand(builders: str, read: Callable[[Path], str | None]) -> Expansion:
    """Follow every include of ``builders``; ``read`` gives a file's text, None if it is missing."""
    files: set[Path] = set()
    entries = tuple(_expanded(builders, read, files))
    return Expansion(entries, frozenset(files))


def with_include(builders: str, file: Path) -> str:
    """Add ``file`` to the setting ``builders``. No blank before the ``@``: see above."""
    return f"{builders.rstrip('; ')};@{file}" if builders.strip("; ") else f"@{file}"


def _expanded(text: str, read: Callable[[Path], str | None], files: set[Path]) -> Iterator[str]:
    for line in text.split("\n"):
        for piece in line.partition("#")[0].split(";"):
            entry = piece.strip()
            if not entry.startswith("@"):
                yield from [entry] if entry else []
                continue
            file = Path(entry[1:].strip())
            if file not in files:  # one that includes itself would never end
                files.add(file)
                yield from _expanded(read(file) or "", read, files)


def _of_system(entries: Iterable[str]) -> Iterator[Machine]:
    for entry in entries:
        try:
            machine = parse(entry)
        except ValueError:
            continue
        if SYSTEM in machine.systems:
            yield machine


def _padded(fields: list[str]) -> list[str]:
    return [*fields, *[""] * _FIELDS][:_FIELDS]


def _names(field: str) -> tuple[str, ...]:
    return tuple(name for name in field.split(",") if name)
