"""Banners: read when they come, None when they do not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from darlingbuilder.adapters import tcp


@contextmanager
def server(greeting: bytes, *, pause: float = 0) -> Iterator[int]:
    """A server that greets one caller."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                over.wait(pause)
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join()


def test_an_ssh_server_greets() -> None:
    with server(b"SSH-2.0-OpenSSH_8.1\r\nmore") as port:
        assert tcp.banner(port, timeout=5) == "SSH-2.0-OpenSSH_8.1"


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"\xff" * 300, b"SSH-1.5-old\n"])
def test_anything_else_is_no_ssh_server(greeting: bytes) -> None:
    with server(greeting) as port:
        assert not tcp.is_ssh(port, timeout=5)


def test_a_server_that_says_nothing_in_time_has_no_banner() -> None:
    with server(b"SSH-2.0-late\r\n", pause=0.5) as port:
        assert tcp.banner(port, timeout=0.1) is None


def test_a_closed_port_has_no_banner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert tcp.banner(port, timeout=1) is None


def test_one_who_hangs_up_without_a_word_is_told_from_one_who_is_silent_or_speaks() -> None:
    with server(b"") as port:
        assert tcp.hangs_up(port, timeout=5)
    with server(b"S") as port:
        assert not tcp.hangs_up(port, timeout=5)
    with server(b"", pause=0.5) as port:
        assert not tcp.hangs_up(port, timeout=0.1)


def test_a_closed_port_does_not_hang_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not tcp.hangs_up(port, timeout=1)
