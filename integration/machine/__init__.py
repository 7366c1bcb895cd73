"""A real machine to try darlingbuilder on: systemd, D-Bus, Nix and OpenSSH in namespaces of their own."""

from .commands import CommandError, CommandTimeoutError, Completed
from .machine import Machine
from .roots import SUITES, Suite, debian_root
from .system import MachineError
from .tree import Entry, Kind, differences, touched

__all__ = [
    "SUITES",
    "CommandError",
    "CommandTimeoutError",
    "Completed",
    "Entry",
    "Kind",
    "Machine",
    "MachineError",
    "Suite",
    "debian_root",
    "differences",
    "touched",
]
