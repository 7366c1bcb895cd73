"""Whether nothing needs the running builder: no slot of Nix's, no session, no process of a build or of a person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from darlingbuilder.adapters import flocks
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.adapters.world import World
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.listening import Listening
from darlingbuilder.steps.overview import slots

# Where a guest's own daemons lie, which a container has at rest. A build's programs come from elsewhere.
_SYSTEM = tuple(map(PurePath, ("/sbin", "/usr/sbin", "/usr/libexec", "/System")))


@dataclass(frozen=True, slots=True)
class Idling:
    """Asked while no connection can come: see the unit of the proxy. In doubt the builder is needed."""

    settings: Settings
    world: World

    def need(self) -> str | None:
        """Say what needs the builder, or why that cannot be told; None if nothing does."""
        try:
            return next(self._needs(), None)
        except (BuilderError, OSError) as error:
            return f"it cannot be told: {error}"

    def _needs(self) -> Iterator[str]:
        if not flocks.can_be_seen():
            yield "the kernel's locks cannot be seen"
        names = self.settings.names
        if flocks.held(self.world.host.real(path) for path in (names.lock, names.keys_lock)):
            yield "init, uninstall or keys is at work"
        if used := slots.of_ours(self.world.host, names.alias):
            yield f"{used} slot(s) of the host's Nix are in use"
        yield from self._processes()

    def _processes(self) -> Iterator[str]:
        serve = self.world.systemd.unit(self.settings.names.unit).main_pid
        listener = Listening(self.settings, self.world).process()
        processes = self.world.darling.processes()
        if listener is None:
            yield "sshd does not listen"
            return
        at_rest = {self.world.darling.server(), listener.pid, *_above(listener, processes)}
        for found in processes:
            # A child of serve's is the launcher that has started sshd: it waits in the container's namespace.
            if found.pid not in at_rest and found.parent != serve and not _is_system(found):
                yield f"{found.arguments[0] or found.name} (pid {found.pid}) runs in the guest"


def _above(process: Process, among: Sequence[Process]) -> Iterator[int]:
    """List the parents of ``process``, one above the other, as far as they are ``among`` these."""
    parents = {one.pid: one.parent for one in among}
    pid = process.pid
    while pid := parents.get(pid, 0):
        yield pid


def _is_system(process: Process) -> bool:
    program = PurePath(process.arguments[0])
    return any(place in program.parents for place in _SYSTEM)
