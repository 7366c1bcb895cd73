"""Each layer against servers and programs that are right, wrong, or silent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import failures
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.machines import parse
from darlingbuilder.core.paths import NIX_MACHINES
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.access import Access
from darlingbuilder.steps.layers import Layer, UnmetError
from darlingbuilder.steps.probes import BUILD, CONNECTION
from tests.fakes import programs
from tests.fakes.host import HOST_KEY, Host, make_host
from tests.names import SOCKET, UNIT

KEY = " ".join(HOST_KEY.decode().split()[:2])
needs_ssh = pytest.mark.skipif(process.find("ssh-keyscan") is None, reason="needs OpenSSH's client")


def probe(name: str, access: Access, *, seconds: float = 5) -> str:
    layers: dict[str, Layer[Access]] = {layer.name: layer for layer in (*CONNECTION, BUILD)}
    return layers[name].probe(access, seconds)


def make_access(tmp_path: Path, *, port: int = 2222, register: bool = True) -> Access:
    """Give access to a builder that is registered with a machine below ``tmp_path``."""
    host = make_host(tmp_path / "host")
    if register:
        host.registration(port=port).apply()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Access(Settings(port=port, register=register), host.world, scratch)


@contextmanager
def server(*pieces: bytes, pause: float = 0) -> Iterator[int]:
    """A server that sends ``pieces`` to each caller, ``pause`` before each."""
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                for piece in pieces:
                    over.wait(pause)
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        socket.create_connection(listening.getsockname()).close()
        thread.join()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
    return port


def test_one_on_demand_is_started_by_a_connection_to_its_socket_first(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.systemd.packaged |= {UNIT, SOCKET}
    with server(b"SSH-2.0-OpenSSH_8.1\r\n") as port:
        access = Access(Settings(on_demand=True, port=port), host.world, tmp_path)
        with pytest.raises(BuilderError, match=r"darling-builder\.socket is inactive"):
            probe("unit", access)
        host.systemd.start(SOCKET)
        with pytest.raises(BuilderError, match=r"darling-builder\.service is inactive"):
            probe("unit", access)
        host.systemd.start(UNIT)
        assert "active" in probe("unit", access)


def test_a_unit_that_runs_passes_and_one_that_does_not_fails(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    access = Access(Settings(), host.world, tmp_path)
    host.systemd.packaged.add(UNIT)

    with pytest.raises(BuilderError, match="is inactive"):
        probe("unit", access)
    host.systemd.start(UNIT)

    assert "active" in probe("unit", access)


def test_a_closed_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="Connection refused"):
        probe("tcp", make_access(tmp_path, port=closed_port()))


def test_an_sshd_greets(tmp_path: Path) -> None:
    with server(b"SSH-2.0-OpenSSH_8.1\r\n") as port:
        access = make_access(tmp_path, port=port)

        assert str(port) in probe("tcp", access)
        assert probe("banner", access) == "SSH-2.0-OpenSSH_8.1"


@pytest.mark.parametrize("greeting", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x00\xff\x16\x03\n", b"220 smtp\r\n"])
def test_a_server_that_is_no_sshd_is_named_with_who_may_be_listening(tmp_path: Path, greeting: bytes) -> None:
    with server(greeting) as port, pytest.raises(BuilderError, match="not SSH") as raised:
        probe("banner", make_access(tmp_path, port=port))

    assert "ss -ltnp" in raised.value.hint


def test_an_sshd_that_keeps_us_out_is_not_taken_for_somebody_else(tmp_path: Path) -> None:
    with server(b"Not allowed at this time\r\n") as port, pytest.raises(BuilderError) as raised:
        probe("banner", make_access(tmp_path, port=port))

    assert "wait" in raised.value.hint


@pytest.mark.parametrize("pieces", [(b"",), (b"x",) * 50])
def test_a_server_that_is_silent_or_dribbles_does_not_hold_us_up(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with server(*pieces, pause=0.1) as port, pytest.raises(BuilderError):
        probe("banner", make_access(tmp_path, port=port), seconds=0.25)


def test_a_slow_banner_passes_if_it_comes_in_time(tmp_path: Path) -> None:
    with server(b"SSH-2.0-", b"slow\r\n", pause=0.1) as port:
        assert probe("banner", make_access(tmp_path, port=port)) == "SSH-2.0-slow"


@needs_ssh
@pytest.mark.parametrize("greeting", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"SSH-2.0-liar\r\n", b""])
def test_whoever_shows_no_host_key_is_refused(tmp_path: Path, greeting: bytes) -> None:
    with server(greeting) as port, pytest.raises(BuilderError, match="shows no ed25519 host key"):
        probe("host key", make_access(tmp_path, port=port), seconds=2)


def test_a_builder_that_is_not_registered_is_said_to_be_so(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    access.world.host.remove(NIX_MACHINES)

    with pytest.raises(BuilderError, match="Nix finds no machine"):
        probe("host key", access)


@pytest.fixture
def reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Access to a builder whose ssh and Nix are scripts on PATH."""
    access = make_access(tmp_path)
    path = programs.install(tmp_path / "bin", host_key=KEY, root=access.world.host.root)
    monkeypatch.setenv("PATH", path)
    return access


def test_a_sound_builder_passes_from_its_host_key_to_a_build(reach: Access) -> None:
    seen = {layer.name: layer.probe(reach, 20) for layer in (*CONNECTION[3:], BUILD)}

    assert seen["guest"] == "Darwin"
    assert seen["nix"] == "nix-daemon 2.18.9"
    assert seen["store"] == "ssh-ng://darling-builder answers Nix 2.26.3"
    assert seen["build"].startswith("/nix/store/")


def test_a_host_key_that_is_not_the_pinned_one_is_somebody_else_s(reach: Access, tmp_path: Path) -> None:
    programs.write(tmp_path / "bin/host/ssh-keyscan", "echo '[127.0.0.1]:2222 ssh-ed25519 AAAAOther'")

    with pytest.raises(BuilderError, match="AAAAOther") as raised:
        probe("host key", reach)

    assert "somebody else" in raised.value.hint


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("echo 'x: Permission denied (publickey).' >&2; exit 255", "Permission denied", "does not admit this key"),
        ("echo 'ssh: Could not resolve hostname x' >&2; exit 255", "resolve", "alias"),
        ("echo 'Host key verification failed.' >&2; exit 255", "verification", "somebody else listens"),
        ("exit 0", "login failed", ""),
        ("sleep 30", "no end within", ""),
        ('echo "sys_proc_info(): Unsupported"; for word; do :; done; echo $word', "holds more", "compat"),
    ],
)
def test_a_login_that_fails_says_why(reach: Access, tmp_path: Path, script: str, message: str, hint: str) -> None:
    programs.write(tmp_path / "bin/host/ssh", script)

    with pytest.raises(BuilderError, match=message) as raised:
        probe("login", reach, seconds=1)

    assert hint in raised.value.hint


@pytest.mark.parametrize("kept", ["auto", "true", "ask"])
def test_an_ssh_that_keeps_connections_is_found_out(reach: Access, tmp_path: Path, kept: str) -> None:
    programs.install(tmp_path / "bin", host_key=KEY, root=reach.world.host.root, controlmaster=kept)

    with pytest.raises(BuilderError, match=f"ControlMaster {kept}") as raised:
        probe("login", reach)

    assert "«ControlMaster no»" in raised.value.hint


def test_a_guest_that_is_linux_is_no_darling(reach: Access, tmp_path: Path) -> None:
    programs.write(tmp_path / "bin/guest/uname", "echo Linux")

    with pytest.raises(BuilderError, match="not Darwin"):
        probe("guest", reach)


def test_what_darling_prints_before_the_answer_is_passed_over(reach: Access, tmp_path: Path) -> None:
    programs.write(tmp_path / "bin/guest/uname", "echo 'Unimplemented syscall (488)'; echo Darwin")

    assert probe("guest", reach) == "Darwin"


def test_a_session_without_nix_is_found_out(reach: Access, tmp_path: Path) -> None:
    # Not removed: the test's own host may have a Nix.
    programs.write(tmp_path / "bin/guest/nix-daemon", "echo 'sh: nix-daemon: not found' >&2; exit 127")

    with pytest.raises(BuilderError, match="finds no nix-daemon"):
        probe("nix", reach)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'error: builder failed with exit code 1' >&2; exit 1", "not built"),
        ("exit 0", "not built"),
        ("echo /nix/store/nothing", "does not hold what was built"),
    ],
)
def test_a_build_is_believed_only_if_its_output_is_there(
    reach: Access, tmp_path: Path, script: str, message: str
) -> None:
    programs.write(tmp_path / "bin/host/nix-build", script)

    with pytest.raises(BuilderError, match=message):
        probe("build", reach)


def test_a_registered_builder_is_reached_by_what_nix_itself_finds(tmp_path: Path) -> None:
    access = make_access(tmp_path)

    assert access.builders is None
    assert "NIX_SSHOPTS" not in access.environment
    assert "-F" not in access.ssh.options
    assert tuple(access.ssh.options[:2]) == ("-i", "/etc/nix/darling-builder-key")
    assert "base64-ssh-public-host-key=" in access.store


def test_an_unregistered_one_is_reached_by_an_alias_and_a_line_of_its_own(tmp_path: Path) -> None:
    access = make_access(tmp_path, port=2345, register=False)

    assert access.builders is not None
    assert parse(access.builders).host_key == HOST_KEY.decode()
    config = access.environment["NIX_SSHOPTS"].removeprefix("-F ")
    assert "Port 2345" in Path(config).read_text()
    assert access.environment["NIX_REMOTE"] == "local"


def test_what_somebody_else_registers_is_used_though_register_is_off(tmp_path: Path) -> None:
    host: Host = make_host(tmp_path, machines=b"ssh-ng://darling-builder x86_64-darwin /root/key 8 1 - apple\n")

    access = Access(Settings(register=False), host.world, tmp_path)

    assert access.builders is None
    assert access.machine.mandatory == ("apple",)
    assert access.pinned == (KEY,)


def test_nix_is_told_of_the_builder_alone_where_it_might_choose_another(tmp_path: Path) -> None:
    ours = b"ssh-ng://darling-builder x86_64-darwin /root/key 8 1 - -\n"
    for other, chosen in ((b"ssh://box x86_64-linux\n", False), (b"ssh://mac x86_64-linux,x86_64-darwin\n", True)):
        host = make_host(tmp_path / str(chosen), machines=ours + other)

        access = Access(Settings(register=False), host.world, tmp_path)

        assert (access.builders is not None) == chosen
        if access.builders:
            assert parse(access.builders).host == "darling-builder"
            assert "NIX_SSHOPTS" not in access.environment


def test_a_builder_out_of_service_is_named_so_by_test(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    settings = Settings()
    failures.write(settings, host.tree, failures.Record(3, "sshd has ended", since=5.0))
    host.registration().apply()

    with pytest.raises(UnmetError, match="out of service, for it has failed again and again: sshd has ended"):
        _ = Access(settings, host.world, tmp_path).machine
