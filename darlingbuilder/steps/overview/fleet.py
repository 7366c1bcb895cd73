"""All builders of the host's Nix, ours and foreign, asked side by side how they are."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import machines, nixconf
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.machines import Machine
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_MACHINES
from darlingbuilder.steps.overview import asking, slots
from darlingbuilder.steps.overview.asking import Answer
from darlingbuilder.steps.overview.notebook import Notebook, Trouble
from darlingbuilder.steps.overview.slots import Slots

_PORT_SINCE = (2, 31)
# To ssh and Nix alike: no machine of the network, whatever it may be called.
_HERE = "localhost"


class BuilderView(msgspec.Struct, frozen=True):
    """A builder, as its machines line describes it, and what it told; ``answer`` is null if it was not asked.

    ``systems`` is empty for this machine's own; ``why_not``: why it was not asked.
    """

    uri: str
    ours: bool
    systems: list[str]
    speed: float | None
    features: list[str]
    slots: Slots
    answer: Answer | None
    why_not: str | None


class Fleet(msgspec.Struct, frozen=True):
    """All builders ``at`` one moment, in seconds of the epoch; ``errors``: why parts of this are not known."""

    at: float
    builders: list[BuilderView]
    errors: list[Trouble]


@dataclass(frozen=True, slots=True)
class Own:
    """A builder of this host, by its ``alias``.

    ``private_port``: where its sshd is asked, if it is on demand: a look must neither start it nor keep it up.
    ``is_up``: whether that one runs.
    """

    alias: str
    private_port: int | None
    is_up: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Lines:
    """The entries of the host's machines files, and the version of the Nix that reads them, if it tells."""

    entries: tuple[str, ...]
    version: tuple[int, ...] | None


def look(world: World, own: Sequence[Own], *, timeout: float) -> Fleet:
    """Ask every builder at the same time, each for at most ``timeout`` seconds; ``own``: those of this host."""
    notebook = Notebook()
    lines = _lines(world, notebook)

    def ask(entry: str, scratch: Path) -> BuilderView:
        return _builder(world, entry, lines.version, own, lambda machine: _asked(machine, scratch, timeout))

    with (
        tempfile.TemporaryDirectory(prefix="darlingbuilder-top-") as scratch,
        ThreadPoolExecutor(max_workers=max(1, len(lines.entries))) as pool,
    ):
        asked = [pool.submit(ask, entry, Path(scratch) / str(number)) for number, entry in enumerate(lines.entries)]
        builders = [one.result() for one in asked]
    return Fleet(time.time(), builders, notebook.troubles)


def _lines(world: World, notebook: Notebook) -> Lines:
    def text(path: Path) -> str | None:
        content = notebook.ask(str(path), lambda: world.host.read(path))
        return None if content is None else content.decode(errors="replace")

    settings = notebook.ask("nix", world.nix.settings)
    if settings is None:
        # What Nix would say, as far as its file says it.
        settings = nixconf.said(text(HOST_NIX_CONF) or "", file=HOST_NIX_CONF, read=text)
    builders = str(settings.get("builders", f"@{NIX_MACHINES}"))
    return Lines(machines.expand(builders, text).entries, notebook.ask("nix", world.nix.version))


def _builder(
    world: World,
    entry: str,
    version: tuple[int, ...] | None,
    own: Sequence[Own],
    ask: Callable[[Machine], Answer],
) -> BuilderView:
    try:
        machine = machines.parse(entry)
    except ValueError as error:
        return _described(entry.split(maxsplit=1)[0], why_not=f"its line cannot be read: {error}")
    why_not, asked = _why_not(machine, version), machine
    ours = next((one for one in own if one.alias == machine.host), None)
    if ours and ours.private_port and not why_not:
        why_not = None if ours.is_up() else "it is down, and starts with the first build"
        asked = replace(machine, uri=f"ssh://{ours.alias}:{ours.private_port}")
    return BuilderView(
        uri=machine.uri,
        ours=ours is not None,
        systems=list(machine.systems),
        speed=_number(machine.speed),
        features=[*machine.supported, *machine.mandatory],
        slots=Slots(slots.of_store(world.host, machine.store), int(_number(machine.jobs) or 0)),
        answer=None if why_not else ask(asked),
        why_not=why_not,
    )


def _asked(machine: Machine, scratch: Path, timeout: float) -> Answer:
    scratch.mkdir()
    try:
        return asking.ask(machine, scratch, timeout=timeout)
    except PrerequisiteError as error:
        return Answer(reachable=False, why=str(error))


def _why_not(machine: Machine, version: tuple[int, ...] | None) -> str | None:
    place = machine.place
    if place is None:
        return "Nix reaches it without ssh"
    if place.host == _HERE:
        return "Nix takes «localhost» for this machine, without ssh"
    if place.port and version and version < _PORT_SINCE:
        return f"Nix {'.'.join(map(str, version))} takes no port in a URI, 2.31 does"
    return None


def _described(uri: str, *, why_not: str) -> BuilderView:
    return BuilderView(
        uri=uri,
        ours=False,
        systems=[],
        speed=None,
        features=[],
        slots=Slots(None, None),
        answer=None,
        why_not=why_not,
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
