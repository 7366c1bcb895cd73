"""What answers on a local TCP port."""

import contextlib
import socket

_ADDRESS = "127.0.0.1"
_LONGEST_BANNER = 255


def banner(port: int, *, timeout: float) -> str | None:
    """Give the first line that the server on ``port`` sends within ``timeout`` seconds; None if none comes."""
    received = b""
    with contextlib.suppress(OSError), socket.create_connection((_ADDRESS, port), timeout) as connection:
        connection.settimeout(timeout)
        while b"\n" not in received and len(received) <= _LONGEST_BANNER:
            chunk = connection.recv(_LONGEST_BANNER)
            if not chunk:
                break
            received += chunk
    line = received.partition(b"\n")[0].decode(errors="replace").strip()
    return line or None


def is_ssh(port: int, *, timeout: float) -> bool:
    """Whether an SSH server greets on ``port``."""
    return (banner(port, timeout=timeout) or "").startswith("SSH-2.0-")
