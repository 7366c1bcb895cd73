"""What /proc says: listeners, processes, mount namespaces."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import procfs


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_this_process_is_described() -> None:
    found = procfs.process(os.getpid())
    assert found is not None
    assert (found.parent, found.zombie) == (os.getppid(), False)
    assert any("pytest" in word for word in found.arguments)


def test_a_process_that_is_not_there_is_none() -> None:
    assert procfs.process(2**22 + 1) is None
    assert not procfs.alive(2**22 + 1)


def test_a_zombie_is_not_alive() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    deadline = time.monotonic() + 5
    while procfs.alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    found = procfs.process(pid)
    assert found is not None
    assert found.zombie
    os.waitpid(pid, 0)


def test_a_listener_is_found_by_its_port(port: int) -> None:
    found = procfs.listener(port)
    assert found is not None
    assert found.pid == os.getpid()
    assert procfs.is_listening(port)


def test_nobody_listens_on_a_free_port(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    assert free != port
    assert procfs.listener(free) is None
    assert not procfs.is_listening(free)


def test_our_own_namespace_is_never_a_container() -> None:
    assert os.getpid() not in {found.pid for found in procfs.inside(Path("/"))}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_is_known_by_where_it_comes_from_and_by_who_has_it(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert procfs.connections(port) == []
        with socket.create_connection((address, port)) as caller, server.accept()[0] as ours:
            [found] = procfs.connections(port)
            assert found.peer == caller.getsockname()[:2]
            assert os.readlink(f"/proc/self/fd/{ours.fileno()}") == found.name  # noqa: PTH115 - no path at all
            assert found.name in procfs.open_files(os.getpid())
