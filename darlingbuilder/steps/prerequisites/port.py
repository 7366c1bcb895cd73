"""The port on which the guest's sshd is to listen: free, or already the builder's."""

from darlingbuilder.adapters import procfs
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning


def port(surroundings: Surroundings) -> Verdict:
    """Look who listens on the port."""
    number = surroundings.settings.port
    if not procfs.is_listening(number):
        return ok(f"{number} is free")
    holders = procfs.listeners(number)
    if not holders:
        return _unseen(number, uid=surroundings.uid)
    ours = {found.pid for found in surroundings.world.darling.processes()}
    foreign = [found for found in holders if found.pid not in ours]
    if not foreign:
        return ok(f"{number} is held by the builder's own {holders[0].name} (pid {holders[0].pid})")
    named = ", ".join(f"{found.name} (pid {found.pid})" for found in foreign)
    return failure(f"{number} is held by {named}", "stop that, or choose another «port»")


def _unseen(number: int, *, uid: int) -> Verdict:
    if uid != 0:
        return warning(f"{number} is in use; root alone can see by whom", "run it with sudo")
    return failure(
        f"{number} is held by a process that cannot be seen from here (of another container?)",
        "choose another «port»; or find it with: ss -ltnp",
    )
