"""The builder from boot to shutdown, with a real process as its sshd."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import procfs
from darlingbuilder.core import compatibility
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import GUEST_NIX, GUEST_PROFILE, SSHD_CONFIG, Paths
from darlingbuilder.steps.profile import profile_of
from tests.fakes.live import ENV, SSHD
from tests.steps.prerequisites.machine import listening
from tests.steps.running_builder import Site, site

NIX_STORE = f"{GUEST_PROFILE}/bin/nix-store"
OLD, NEW = "2.19.3", compatibility.table().default_nix


@pytest.fixture
def ours() -> Iterator[Site]:
    """Give a builder that is down."""
    with site(boot_timeout="10", grace="5") as made:
        yield made


def upgraded(ours: Site) -> None:
    """Leave ``ours`` with two generations of Nix: an old one, and a new one that nobody has asked yet."""
    ours.init(nix__version=OLD)
    profile = profile_of(ours.settings, ours.world)
    profile.settle()
    ours.init(nix__version=NEW)
    assert len(profile.generations()) == 2


def versions(ours: Site) -> list[str]:
    return [one.path.rpartition("-")[2] for one in profile_of(ours.settings, ours.world).generations()]


def current(ours: Site) -> str:
    found = profile_of(ours.settings, ours.world).current()
    return found.path.rpartition("-")[2] if found else ""


def test_a_boot_gives_an_sshd_that_greets(ours: Site) -> None:
    sshd, _ = ours.builder.boot()

    assert sshd.poll() is None
    assert ours.greets()
    assert ours.world.darling.server() is not None


def test_the_store_is_mounted_before_sshd_starts(ours: Site) -> None:
    ours.builder.boot()

    [(command, mounted)] = ours.darling.commands
    assert command == (ENV, SSHD, "-D", "-e", "-f", str(SSHD_CONFIG))
    assert mounted == ours.world.host.real(Paths(ours.settings).nix)


def test_systemd_is_told_what_goes_on(ours: Site) -> None:
    ours.builder.boot()
    ours.builder.shutdown()

    assert ours.heard == [
        "STATUS=booting the container",
        "STATUS=starting sshd",
        "STATUS=trying the guest's Nix",
        "STATUS=shutting the container down",
    ]


def test_a_container_that_is_up_already_is_booted_anew(ours: Site) -> None:
    # given: what an init that was interrupted may leave
    with Paths(ours.settings).boot_log.open("ab") as log:
        ours.darling.boot(log)
        leftover = ours.darling.start("leftover", log=log)
    # when
    ours.builder.boot()
    # then
    assert leftover.poll() is not None
    assert ours.world.darling.is_mounted(GUEST_NIX)


def test_a_port_that_another_holds_is_refused_before_sshd_starts(ours: Site) -> None:
    with listening() as port:
        ours.init(port=str(port))
        with pytest.raises(DarlingError, match=rf"port {port} is taken by .+ \(pid {os.getpid()}\)") as caught:
            ours.builder.boot()

    assert "port" in caught.value.hint
    assert ours.darling.commands == []


def test_an_sshd_that_ends_at_once_is_an_error(ours: Site) -> None:
    ours.darling.answers[SSHD] = lambda _command: (255, "sshd: no hostkeys available -- exiting.\n")
    with pytest.raises(DarlingError, match="ended as soon as it was started"):
        ours.builder.boot()


def test_an_sshd_that_does_not_greet_in_time_is_an_error(ours: Site) -> None:
    ours.init(boot_timeout="1")
    ours.darling.mute.touch()
    with pytest.raises(DarlingError, match=rf"does not greet on 127\.0\.0\.1:{ours.port} within 1 s"):
        ours.builder.boot()


def test_a_container_that_does_not_boot_is_an_error(ours: Site) -> None:
    ours.darling.installed = False
    with pytest.raises(Exception, match="no launcher there"):
        ours.builder.boot()


@pytest.mark.parametrize("knows", [False, True])
def test_an_sshd_that_punishes_is_told_not_to(ours: Site, *, knows: bool) -> None:
    text = b"\x7fELF PerSourcePenalties" if knows else b"\xcf\xfa\xed\xfe OpenSSH_8.1"
    ours.darling.files().write(Path(SSHD), text)

    ours.builder.boot()

    assert ("PerSourcePenalties=no" in ours.darling.commands[0][0]) is knows


def test_a_new_nix_that_builds_is_kept_alone(ours: Site) -> None:
    upgraded(ours)

    ours.builder.boot()

    assert versions(ours) == [NEW]
    assert current(ours) == NEW


@pytest.mark.parametrize("harm", ["exit 0", "exec /nowhere", "kill -ILL $$", "kill -ILL 0"])
def test_a_new_nix_that_cannot_build_gives_way_to_the_old_one(
    ours: Site, capfd: pytest.CaptureFixture[str], harm: str
) -> None:
    upgraded(ours)
    ours.darling.shell.nixes[NEW] = harm

    ours.builder.boot()

    assert current(ours) == OLD
    assert versions(ours) == [OLD, NEW]  # which tells init that it is no longer to be chosen
    assert ours.greets()
    said = capfd.readouterr().err
    assert "the new Nix is not used" in said
    assert f"kept={profile_of(ours.settings, ours.world).current().path}" in said  # type: ignore[union-attr] # as above


def test_a_new_nix_that_hangs_gives_way_to_the_old_one(ours: Site) -> None:
    upgraded(ours)
    ours.init(nix__version=NEW, boot_timeout="1")
    ours.darling.shell.nixes[NEW] = "sleep 30"

    ours.builder.boot()

    assert current(ours) == OLD


def test_without_a_nix_that_can_build_there_is_no_builder(ours: Site) -> None:
    ours.darling.shell.nixes[NEW] = "echo no space >&2; exit 1"

    with pytest.raises(DarlingError, match=r"cannot serve in this guest: .* ended with status 1: no space") as caught:
        ours.builder.boot()

    assert compatibility.nix_advice() in caught.value.hint


def test_a_nix_that_has_passed_is_not_tried_at_the_next_start(ours: Site) -> None:
    ours.builder.boot()
    ours.builder.shutdown()
    tried: list[tuple[str, ...]] = []

    def answer(command: tuple[str, ...]) -> tuple[int, str]:
        tried.append(command)
        return 1, ""

    ours.darling.answers["/bin/bash"] = answer
    ours.builder.boot()

    assert tried == []


def test_the_watchdog_is_fed_until_sshd_ends(ours: Site) -> None:
    sshd, _ = ours.builder.boot()
    ours.on_hearing = lambda _line: ours.darling.kill_sshd() if ours.heard.count("WATCHDOG=1") == 3 else None

    with pytest.raises(DarlingError, match="sshd has ended"):
        ours.builder.watch(sshd, seconds=0.01)

    assert ours.heard.count("WATCHDOG=1") == 3


def test_the_end_of_sshd_is_noticed_in_the_midst_of_an_interval(ours: Site) -> None:
    sshd, _ = ours.builder.boot()
    threading.Timer(0.2, ours.darling.kill_sshd).start()
    start = time.monotonic()

    with pytest.raises(DarlingError, match="sshd has ended"):
        ours.builder.watch(sshd, seconds=60)

    assert time.monotonic() - start < 10


def test_the_end_of_the_container_is_noticed(ours: Site) -> None:
    sshd, _ = ours.builder.boot()
    ours.on_hearing = lambda _line: setattr(ours.darling, "_up", False)

    with pytest.raises(DarlingError, match="the container has ended"):
        ours.builder.watch(sshd, seconds=0.01)


def test_the_watchdog_goes_hungry_while_sshd_does_not_greet(ours: Site) -> None:
    sshd, _ = ours.builder.boot()
    ours.darling.mute.touch()
    threading.Timer(0.4, ours.darling.kill_sshd).start()

    with pytest.raises(DarlingError, match="sshd has ended"):
        ours.builder.watch(sshd, seconds=0.01)

    assert "WATCHDOG=1" not in ours.heard


def test_without_builds_draining_ends_at_once_and_takes_no_new_connection(ours: Site) -> None:
    sshd, _ = ours.builder.boot()
    start = time.monotonic()

    ours.builder.drain()

    assert time.monotonic() - start < 2
    assert sshd.wait(10) != 0
    assert not ours.greets()


@pytest.mark.parametrize("command", [("/nix/bin/nix-daemon", "--stdio"), ("nix-store", "--serve", "--write")])
def test_draining_waits_for_a_build(ours: Site, command: tuple[str, ...]) -> None:
    # given
    ours.builder.boot()
    with Path(os.devnull).open("wb") as log:
        ours.darling.start(*command, log=log)
        ours.darling.start("bash", "-c", "make", log=log)
    [build, *_] = ours.darling.programs
    threading.Timer(0.5, lambda: setattr(build, "code", 0)).start()
    # when
    ours.builder.drain()
    # then
    assert build.poll() == 0
    assert "STATUS=draining 1 connection(s) with builds, 5 s left" in ours.heard


def test_a_build_that_lasts_longer_than_its_grace_is_cut_off(ours: Site, capfd: pytest.CaptureFixture[str]) -> None:
    ours.init(grace="1")
    ours.builder.boot()
    with Path(os.devnull).open("wb") as log:
        build = ours.darling.start("nix-daemon", "--stdio", log=log)

    ours.builder.drain()

    assert build.poll() is None
    assert "builds cut off" in capfd.readouterr().err
    ours.builder.shutdown()
    assert build.poll() is not None


def test_draining_leaves_anothers_server_on_the_port_alone(ours: Site) -> None:
    # given: our sshd has died, and somebody else has taken the port; were it signalled, this test would end
    ours.builder.boot()
    ours.darling.kill_sshd()
    with listening() as port:
        ours.init(port=str(port))
        # when
        ours.builder.drain()
        # then
        assert procfs.is_listening(port)


def test_after_a_shutdown_nothing_is_left_running(ours: Site) -> None:
    sshd, _ = ours.builder.boot()

    for _ in range(2):
        ours.builder.shutdown()

    assert sshd.poll() is not None
    assert ours.world.darling.processes() == []
    assert not ours.world.darling.is_mounted(GUEST_NIX)
