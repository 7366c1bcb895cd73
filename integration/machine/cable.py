"""A network cable between two machines: a pair of interfaces that is in nobody's namespace but theirs."""

from .commands import run
from .machine import Machine

_NAME = "cable0"


def join(one: Machine, other: Machine) -> None:
    """Connect two booted machines; it is gone as soon as one of them is switched off."""
    run(
        (
            "nsenter", "--target", str(one.pid1), "--net",
            "ip", "link", "add", _NAME, "type", "veth", "peer", "name", _NAME, "netns", str(other.pid1),
        )
    )  # fmt: skip
    for machine in (one, other):
        machine.run("ip", "link", "set", _NAME, "up")


def give(machine: Machine, *addresses: str) -> None:
    """Give ``machine``'s end of the cable its ``addresses``, each with the length of its network's prefix."""
    for address in addresses:
        # No check that nobody else has it: for a second it could not be used.
        machine.run("ip", "address", "add", address, "dev", _NAME, *(("nodad",) if ":" in address else ()))
