"""What answers on a local TCP port, and whether this machine finds a host by its name."""

import contextlib
import socket
import time

from darlingbuilder.adapters import process
from darlingbuilder.core.errors import PrerequisiteError

_ADDRESS = "127.0.0.1"
_LONGEST_BANNER = 255


def refusal(port: int, *, timeout: float) -> OSError | None:
    """Say why nothing can be connected to on ``port``; None if it can."""
    try:
        socket.create_connection((_ADDRESS, port), timeout).close()
    except OSError as error:
        return error
    return None


def banner(port: int, *, timeout: float, address: str = _ADDRESS) -> str | None:
    """Give the first line that the server on ``port`` sends within ``timeout`` seconds; None if none comes."""
    received, deadline = b"", time.monotonic() + timeout
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout) as connection:
        # One that dribbles must not get the time anew with each byte.
        while (
            b"\n" not in received and len(received) <= _LONGEST_BANNER and (left := deadline - time.monotonic()) > 0
        ):
            connection.settimeout(left)
            chunk = connection.recv(_LONGEST_BANNER)
            if not chunk:
                break
            received += chunk
    line = received.partition(b"\n")[0].decode(errors="replace").strip()
    return line or None


def is_ssh(port: int, *, timeout: float) -> bool:
    """Whether an SSH server greets on ``port``."""
    return (banner(port, timeout=timeout) or "").startswith("SSH-2.0-")


def hangs_up(port: int, *, timeout: float) -> bool:
    """Whether whoever listens on ``port`` ends a connection within ``timeout`` seconds, and says nothing before."""
    with contextlib.suppress(OSError), socket.create_connection((_ADDRESS, port), timeout) as connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True
    return False


def is_of_this_machine(address: str) -> bool:
    """Whether this machine has the IP address ``address`` at the moment."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # No port is taken, and no packet sent.
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


def resolves(name: str, timeout: float) -> bool:
    """Whether this machine finds the address of ``name`` within ``timeout`` seconds."""
    # Another process, for a lookup in this one cannot be given up.
    with contextlib.suppress(PrerequisiteError):  # musl has no getent in its base
        return process.run("getent", "ahosts", name, timeout=timeout, check=False).code == 0
    return False
