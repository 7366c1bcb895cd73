"""All that ``status`` and ``metrics`` tell of the builder, gathered without a call of the guest."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from darlingbuilder.adapters import journal, procfs, tcp
from darlingbuilder.adapters.journal import End
from darlingbuilder.adapters.systemd import Activity, UnitState
from darlingbuilder.adapters.world import World
from darlingbuilder.core import failures, keypair, machines, serving
from darlingbuilder.core.failures import Outage
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.plain import plain
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import clients, exposure, keyring, limits, store, usage
from darlingbuilder.steps.converge import Found
from darlingbuilder.steps.overview import admitted, builds, slots, tested
from darlingbuilder.steps.overview.admitted import ClientSeen
from darlingbuilder.steps.overview.builds import Build
from darlingbuilder.steps.overview.notebook import Notebook, Trouble
from darlingbuilder.steps.overview.slots import Slots
from darlingbuilder.steps.overview.tested import Tested
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.usage import Usage

_BANNER_SECONDS = 2.0
_NIX = re.compile(r"/[0-9a-z]{32}-(?:nix|lix)-([0-9][^/]*)\Z")


class DriftView(msgspec.Struct, frozen=True):
    """One difference."""

    what: str
    detail: str


class NoteView(msgspec.Struct, frozen=True):
    """One remark, which is no difference."""

    what: str
    detail: str
    hint: str


class StepView(msgspec.Struct, frozen=True):
    """One step: converged, drifted, or not to be checked because of ``error``."""

    step: str
    drift: list[DriftView]
    error: str | None
    hint: str | None


class NixVersions(msgspec.Struct, frozen=True):
    """The Nix of either side; null where there is none, or where it does not say."""

    host: str | None
    guest: str | None


class KeyView(msgspec.Struct, frozen=True):
    """A key in force: ``name`` is «client» or «host»; its fingerprint as ssh names it, null if it cannot be read."""

    name: str
    path: str
    fingerprint: str | None


class Overview(msgspec.Struct, frozen=True):
    """The builder at one moment. Moments are seconds of the epoch; null is what is not so, or not known.

    ``instance``: which builder of this host it is; ``since``: when the unit last became active; ``result``:
    systemd's word for how its last run fared; ``last_end``: how its main process last ended; ``container``: the
    host pid of the container's server, ``booted``: when that was; ``corrections``: those of the compat shim that
    are in force, null where nothing is served; ``banner``: what the guest's sshd answers; ``waiting``: whether a
    connection to the port would start the builder, null without ``on_demand``; ``store``: what the guest's store
    takes, null where it has none; ``exposed``: where others than this machine may reach the port, ``clients``: which
    of them may build; ``breaker``: since when, and why, Nix is told to send nothing; ``errors``: why parts of this
    are not known.
    """

    instance: str
    unit: str
    state: str
    since: float | None
    message: str
    restarts: int
    result: str | None
    last_end: End | None
    corrections: list[str] | None
    container: int | None
    booted: float | None
    port: int
    waiting: bool | None
    banner: str | None
    prefix: str
    nix: NixVersions
    store: Usage | None
    slots: Slots
    builds: list[Build]
    keys: list[KeyView]
    exposed: list[str]
    clients: list[ClientSeen]
    tested: Tested | None
    breaker: Outage | None
    converged: bool
    steps: list[StepView]
    notes: list[NoteView]
    errors: list[Trouble]


def of(settings: Settings, world: World, found: Sequence[Found], *, made: bool) -> Overview:
    """Look at everything; ``found``: what a survey of the steps gave, ``made``: whether there is a builder."""
    notebook = Notebook()
    state = notebook.ask("unit", lambda: world.systemd.unit(settings.names.unit))
    server = notebook.ask("container", world.darling.server)
    return Overview(
        instance=settings.instance,
        unit=settings.names.unit,
        state=f"{state.activity.value} ({state.sub})" if state else "unknown: systemd does not answer",
        since=(state.since or None) if state else None,
        message=state.status_text if state else "",
        restarts=state.restarts if state else 0,
        result=(state.outcome or None) if state else None,
        last_end=journal.last_end(settings.names.unit) or (End(None, state.ended) if state and state.ended else None),
        corrections=_corrections(state),
        container=server,
        booted=procfs.started(server) if server else None,
        port=settings.port,
        waiting=notebook.ask("socket", lambda: _is_waiting(settings.names, world)) if settings.on_demand else None,
        banner=_banner(settings.sshd_port) if made else None,
        prefix=str(settings.prefix_path),
        nix=_nix(settings, world, notebook, made=made),
        store=notebook.ask("store", lambda: usage.usage(settings, world)) if made else None,
        slots=_slots(settings, world, notebook),
        builds=notebook.ask("builds", lambda: builds.running(world.darling)) or [],
        keys=_keys(settings, world, notebook) if made else [],
        exposed=admitted.exposed(settings) if made else [],
        clients=(notebook.ask("clients", lambda: admitted.clients(settings, world)) or []) if made else [],
        tested=notebook.ask("tested", lambda: tested.last(settings, world.host)),
        breaker=notebook.ask("breaker", lambda: failures.outage(settings, world.host)),
        converged=all(step.converged for step in found),
        steps=[_step(step) for step in found],
        notes=_notes(settings, world, state) if made else [],
        errors=notebook.troubles,
    )


def _corrections(state: UnitState | None) -> list[str] | None:
    # By what serve itself has told systemd: the environment of sshd's process tells nothing, for the shim hides its
    # variables there, and sshd writes its title over them.
    return serving.corrections(state.status_text) if state and state.activity is Activity.ACTIVE else None


def _is_waiting(names: Instance, world: World) -> bool:
    """Whether the socket is there and the builder is not: nobody of ours connects to it, which would start that."""
    door, builder = world.systemd.unit(names.socket), world.systemd.unit(names.unit)
    return door.activity is Activity.ACTIVE and builder.activity is Activity.INACTIVE


def _banner(port: int) -> str | None:
    banner = tcp.banner(port, timeout=_BANNER_SECONDS)
    # Whoever listens may send what a terminal would obey.
    return None if banner is None else plain(banner)


def _nix(settings: Settings, world: World, notebook: Notebook, *, made: bool) -> NixVersions:
    version = notebook.ask("nix.host", world.nix.version)
    current = notebook.ask("nix.guest", lambda: profile_of(settings, world).current()) if made else None
    named = _NIX.search(current.path) if current else None
    return NixVersions(host=".".join(map(str, version)) if version else None, guest=named[1] if named else None)


def _slots(settings: Settings, world: World, notebook: Notebook) -> Slots:
    used = notebook.ask("slots", lambda: slots.of_ours(world.host, settings.names.alias))
    return Slots(used=used, max=machines.jobs(settings))


def _keys(settings: Settings, world: World, notebook: Notebook) -> list[KeyView]:
    def view(name: str, path: Path) -> KeyView:
        key = notebook.ask(f"keys.{name}", lambda: keypair.read(world.host, path))
        return KeyView(name, str(path), key.fingerprint if key else None)

    return [view("client", Paths(settings).key), view("host", Paths(settings).host_key)]


def _notes(settings: Settings, world: World, state: UnitState | None) -> list[NoteView]:
    """List what is worth knowing of keys and store and, if systemd has told its ``state``, of the unit."""
    found = [*keyring.notes(settings, world.host), *store.notes(settings)]
    found += [*exposure.notes(settings), *clients.notes(settings, world.host)]
    found += limits.notes(settings, world.host, state) if state else []
    return [NoteView(note.what, note.detail, note.hint) for note in found]


def _step(found: Found) -> StepView:
    return StepView(
        step=found.step,
        drift=[DriftView(drift.what, drift.detail) for drift in found.drift],
        error=str(found.error) if found.error else None,
        hint=found.error.hint if found.error else None,
    )
