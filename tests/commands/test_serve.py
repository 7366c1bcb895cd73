"""``serve``, with a real process as its sshd, a real socket for what systemd is told, and real signals."""

import os
import secrets
import signal
import socket
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from darlingbuilder.commands import serve
from darlingbuilder.commands.context import Context
from darlingbuilder.core import marker, wait
from darlingbuilder.core.errors import BuilderError, DarlingError, ExitCode
from darlingbuilder.core.paths import Paths
from darlingbuilder.steps.draining import AT_ONCE
from tests.fakes.live import SSHD
from tests.names import UNIT
from tests.steps.running_builder import Site, site

pytest.importorskip("pystemd", reason="what systemd is told goes through it")
_LAST = "END"
# A signal may come between the making of a socket and the statement that would close it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@dataclass
class Systemd:
    """Hears what the service tells, and may answer. ``on_hearing`` is called with each message."""

    name: str
    heard: list[str] = field(default_factory=list)
    on_hearing: Callable[[str], None] = lambda _message: None
    _all: threading.Event = field(default_factory=threading.Event)

    def told(self) -> list[str]:
        """Give what was told so far, in its order, each state once."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(_LAST.encode(), self.name)
        assert self._all.wait(10)
        return list(dict.fromkeys(line for message in self.heard for line in message.splitlines()))

    def listen(self, opened: socket.socket) -> None:
        """Hear until the socket is closed."""
        with suppress(OSError):
            while message := opened.recv(4096).decode():
                if message == _LAST:
                    self._all.set()
                    return
                self.heard.append(message)
                self.on_hearing(message)


@pytest.fixture
def ours() -> Iterator[Site]:
    """Give a builder that is down."""
    with site(boot_timeout="10", grace="5") as made:
        yield made


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """Stand for systemd, whose watchdog has to be fed every 0.2 s; signals are handled as before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, AT_ONCE)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = f"darlingbuilder-test-{os.getpid()}-{secrets.token_hex(4)}"
    heard = Systemd(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(heard.name)
        thread = threading.Thread(target=heard.listen, args=(opened,))
        thread.start()
        yield heard
        opened.shutdown(socket.SHUT_RD)
        thread.join(10)
    for number, handler in before.items():
        signal.signal(number, handler)


def run(ours: Site, *, made: bool = True) -> ExitCode:
    recorded = marker.read(ours.world.host, Paths(ours.settings).marker) if made else None
    return serve.run(Context(ours.config, recorded, ours.world), Namespace())


def stop(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(ours: Site, systemd: Systemd, number: signal.Signals) -> None:
    # given
    answered = []

    def hearing(message: str) -> None:
        if "READY=1" in message:
            answered.append(ours.greets())
        if systemd.heard.count("WATCHDOG=1") == 2 and len(answered) == 1:
            answered.append(ours.greets())
            stop(number)

    systemd.on_hearing = hearing
    # when
    assert run(ours) is ExitCode.OK
    # then
    assert answered == [True, True]
    assert systemd.told() == [
        "STATUS=booting the container",
        "STATUS=starting sshd",
        "STATUS=trying the guest's Nix",
        "READY=1",
        f"STATUS=serving on 127.0.0.1:{ours.port}; corrections in force: none",
        "WATCHDOG=1",
        "STOPPING=1",
        "STATUS=shutting the container down",
    ]
    assert ours.world.darling.processes() == []
    assert ours.darling.files().read(Path("/.init.pid")) is None


def test_without_builds_it_stops_at_once(ours: Site, systemd: Systemd) -> None:
    stopped = []

    def hearing(message: str) -> None:
        if "READY=1" in message:
            stopped.append(time.monotonic())
            stop()

    systemd.on_hearing = hearing
    run(ours)
    assert time.monotonic() - stopped[0] < 2


def test_builds_may_end_and_a_second_signal_does_not_cut_them_off(ours: Site, systemd: Systemd) -> None:
    # given
    def hearing(message: str) -> None:
        if "READY=1" in message:
            with Path(os.devnull).open("wb") as log:
                ours.darling.start("nix-daemon", "--stdio", log=log)
            stop()
        if "STATUS=draining" in message:
            stop()
            threading.Timer(0.3, lambda: setattr(ours.darling.programs[0], "code", 0)).start()

    systemd.on_hearing = hearing
    # when
    assert run(ours) is ExitCode.OK
    # then: it ended by itself
    assert ours.darling.programs[0].poll() == 0


def test_a_builder_that_dies_is_an_error_and_leaves_nothing_running(ours: Site, systemd: Systemd) -> None:
    systemd.on_hearing = lambda message: ours.darling.kill_sshd() if message == "WATCHDOG=1" else None

    with pytest.raises(DarlingError, match="sshd has ended") as caught:
        run(ours)

    assert caught.value.exit_code == ExitCode.FAILED
    assert ours.world.darling.processes() == []


@pytest.mark.parametrize("harm", ["sshd", "launcher"])
def test_one_that_does_not_boot_is_an_error_and_leaves_nothing_running(
    ours: Site, systemd: Systemd, harm: str
) -> None:
    if harm == "sshd":
        ours.darling.answers[SSHD] = lambda _command: (255, "")
    else:
        ours.darling.installed = False

    with pytest.raises(BuilderError, match=r"ended as soon|no launcher"):
        run(ours)

    assert "READY=1" not in systemd.told()
    assert ours.world.darling.processes() == []


def test_a_signal_during_the_boot_stops_it(ours: Site, systemd: Systemd) -> None:
    # given: it waits for an sshd that does not greet
    systemd.on_hearing = lambda message: threading.Timer(0.2, stop).start() if "starting sshd" in message else None
    ours.darling.mute.touch()

    assert run(ours) is ExitCode.OK

    assert "READY=1" not in systemd.told()
    assert ours.world.darling.processes() == []


def test_without_a_builder_nothing_is_booted(ours: Site, systemd: Systemd) -> None:
    before = ours.darling.boots
    with pytest.raises(BuilderError, match="there is no builder"):
        run(ours, made=False)
    assert ours.darling.boots == before
    assert systemd.told() == []


@pytest.mark.parametrize("usec", ["", "soon"])
def test_where_systemd_names_no_watchdog_it_still_looks_after_its_sshd(
    ours: Site, systemd: Systemd, monkeypatch: pytest.MonkeyPatch, usec: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    systemd.on_hearing = lambda message: ours.darling.kill_sshd() if message == "WATCHDOG=1" else None
    with pytest.raises(DarlingError, match="sshd has ended"):
        run(ours)


def test_told_to_stop_at_once_it_waits_for_no_build(ours: Site, systemd: Systemd) -> None:
    # given
    told: list[float] = []

    def hearing(message: str) -> None:
        if "READY=1" in message:
            with Path(os.devnull).open("wb") as log:
                ours.darling.start("nix-daemon", "--stdio", log=log)
            told.append(time.monotonic())
            stop(AT_ONCE)
            stop()

    systemd.on_hearing = hearing
    # when
    assert run(ours) is ExitCode.OK
    # then: long before its grace of 5 s
    assert time.monotonic() - told[0] < 3


def test_a_drain_that_goes_on_is_ended_by_that_as_well(ours: Site, systemd: Systemd) -> None:
    # given
    told: list[float] = []

    def hearing(message: str) -> None:
        if "READY=1" in message:
            with Path(os.devnull).open("wb") as log:
                ours.darling.start("nix-daemon", "--stdio", log=log)
            stop()
        if "STATUS=draining" in message and not told:
            told.append(time.monotonic())
            stop(AT_ONCE)

    systemd.on_hearing = hearing
    # when
    assert run(ours) is ExitCode.OK
    # then
    assert time.monotonic() - told[0] < 3


def test_by_hand_it_does_not_take_the_container_from_the_unit(
    ours: Site, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.world.systemd.start(UNIT)
    ours.world.systemd.adopt(UNIT, 4711)
    monkeypatch.delenv("NOTIFY_SOCKET")

    with pytest.raises(BuilderError, match=f"{UNIT} serves already, as process 4711"):
        run(ours)
    assert systemd.told() == []
    assert ours.world.darling.server() is None


def test_by_hand_it_serves_where_the_unit_does_not(
    ours: Site, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")

    def stop_once_it_greets() -> None:
        wait.until(ours.greets, seconds=10)
        stop()

    threading.Thread(target=stop_once_it_greets).start()
    assert run(ours) is ExitCode.OK
    assert systemd.told() == []
