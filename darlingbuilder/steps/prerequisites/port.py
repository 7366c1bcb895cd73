"""The ports of the builder, and with ``on_demand`` of its sshd: free, or already the builder's."""

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.adapters.world import World
from darlingbuilder.core import wait
from darlingbuilder.core.instance import Instance
from darlingbuilder.steps.prerequisites.finding import Level, Surroundings, Verdict, failure, ok, warning
from darlingbuilder.steps.socketunits import has_port, proxyd

_SYSTEMD = 1
# A stranger stays for longer; a builder that starts or ends has its sshd replaced between two looks.
_SECONDS = 1.0


def port(surroundings: Surroundings) -> Verdict:
    """Look who listens on the port."""
    return _look(surroundings, "port", surroundings.settings.port)


def on_demand(surroundings: Surroundings) -> Verdict:
    """Look for what a builder on demand needs besides: a port for its sshd, and systemd's proxy."""
    settings = surroundings.settings
    if not settings.on_demand:
        return ok("not looked at: on_demand is false")
    program = proxyd(surroundings.world.host)
    if program is None:
        return failure(
            "systemd-socket-proxyd is not there, neither in /usr/lib/systemd nor in /lib/systemd",
            "install systemd as a whole (Debian: apt install systemd); or leave on_demand out",
        )
    verdict = _look(surroundings, "private_port", settings.private_port)
    return ok(f"{program}; private_port {verdict.detail}") if verdict.level is Level.OK else verdict


def _look(surroundings: Surroundings, setting: str, number: int) -> Verdict:
    """Look again and again for a while before what was found counts as in the way."""
    verdicts: list[Verdict] = []

    def is_settled() -> bool:
        verdicts.append(_glance(surroundings, setting, number))
        return verdicts[-1].level is not Level.FAILURE

    wait.until(is_settled, seconds=_SECONDS)
    return verdicts[-1]


def _glance(surroundings: Surroundings, setting: str, number: int) -> Verdict:
    if not procfs.is_listening(number):
        return ok(f"{number} is free")
    holders = procfs.listeners(number)
    if not holders:
        return _unseen(number, setting, uid=surroundings.uid)
    ours = {found.pid for found in surroundings.world.darling.processes()}
    foreign = [found for found in holders if found.pid not in ours]
    if not foreign:
        return ok(f"{number} is held by the builder's own {holders[0].name} (pid {holders[0].pid})")
    if {found.pid for found in foreign} <= _door(surroundings.settings.names, surroundings.world, number):
        return ok(f"{number} is held by the builder's own {surroundings.settings.names.socket}")
    named = ", ".join(f"{found.name} (pid {found.pid})" for found in foreign)
    return failure(f"{number} is held by {named}", f"stop that, or choose another «{setting}»")


def _door(names: Instance, world: World, number: int) -> set[int]:
    """Give who holds ``number`` for a builder on demand: systemd, and the proxy that has it from there."""
    proxy = world.systemd.unit(names.proxy).main_pid
    content = (world.host.read(names.socket_file) or b"").decode(errors="replace")
    active = world.systemd.unit(names.socket).activity is Activity.ACTIVE
    return {_SYSTEMD, proxy} if active and has_port(content, number) else {proxy}


def _unseen(number: int, setting: str, *, uid: int) -> Verdict:
    if uid != 0:
        return warning(f"{number} is in use; root alone can see by whom", "run it with sudo")
    return failure(
        f"{number} is held by a process that cannot be seen from here (of another container?)",
        f"choose another «{setting}»; or find it with: ss -ltnp",
    )
