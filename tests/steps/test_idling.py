"""A builder counts as idle only where nothing needs it, and where that can be told."""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.core import marker
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import NIX_LOAD, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.idling import Idling
from tests.commands.builder import machine, make
from tests.fakes.darling import FakeDarling
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld
from tests.names import LOCK, UNIT
from tests.steps.prerequisites.machine import listening

SERVER, LAUNCHD, SHELL = 4_194_310, 4_194_311, 4_194_312
FREE = 4_194_320


@dataclass(slots=True)
class InhabitedDarling(FakeDarling):
    """One whose listening sshd is this very process, below a shell; ``more`` runs beside it."""

    more: list[Process] = field(default_factory=list)
    lost: bool = False

    def server(self) -> int | None:
        """See Darling."""
        return SERVER

    def processes(self) -> list[Process]:
        """See Darling."""
        if self.lost:
            raise DarlingError("the container cannot be looked into", hint="")
        sshd = procfs.process(os.getpid())
        assert sshd
        return [
            process(SERVER, 1, "darlingserver"),
            process(LAUNCHD, SERVER, "/sbin/launchd"),
            process(LAUNCHD + 10, LAUNCHD, "/usr/libexec/notifyd"),
            process(SHELL, LAUNCHD, "/bin/bash"),
            replace(sshd, parent=SHELL),
            *self.more,
        ]


def process(pid: int, parent: int, *arguments: str) -> Process:
    return Process(pid, parent, Path(arguments[0]).name, zombie=False, arguments=arguments)


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a builder that runs; its launchd is a process of the guest."""
    with machine() as made, listening() as port:
        config = chosen(on_demand="true", private_port=str(port))
        make(made, config)
        made.systemd.start(UNIT)
        plain = made.darling
        darling = InhabitedDarling(plain.prefix, plain.user, plain.accounts)
        yield replace(made, darling=darling)


def need(world: FakeWorld) -> str | None:
    config = (marker.read(world.host, Paths(Settings()).marker) or pytest.fail("no builder")).config
    return Idling(config.settings, world).need()


def inhabit(world: FakeWorld, *more: Process) -> None:
    assert isinstance(world.darling, InhabitedDarling)
    world.darling.more.extend(more)


def test_a_container_at_rest_is_idle(world: FakeWorld) -> None:
    assert need(world) is None


def test_the_launcher_that_serve_has_started_sshd_with_is_none_of_the_guest_s(world: FakeWorld) -> None:
    serve = world.systemd.unit(UNIT).main_pid
    inhabit(world, process(FREE, serve, "/usr/local/bin/darling", "shell"))
    assert need(world) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("sshd: darlingbuilder@notty",),
        ("/nix/var/nix/profiles/default/bin/nix-daemon", "--stdio"),
        ("/bin/sleep", "60"),
        ("/nix/store/xyz-clang/bin/clang",),
        ("",),
    ],
)
def test_a_process_of_a_session_or_a_build_needs_it(world: FakeWorld, arguments: tuple[str, ...]) -> None:
    inhabit(world, process(FREE, LAUNCHD, *arguments))
    assert f"(pid {FREE}) runs in the guest" in (need(world) or "")


def test_a_slot_in_use_needs_it_before_its_connection_comes(world: FakeWorld) -> None:
    slot = NIX_LOAD / "ssh-ng:__darling-builder-0"
    world.host.write(slot, b"")
    with world.host.real(slot).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert need(world) == "1 slot(s) of the host's Nix are in use"
    assert need(world) is None


def test_an_init_at_work_needs_it(world: FakeWorld) -> None:
    with world.host.real(LOCK).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert need(world) == "init, uninstall or keys is at work"


def test_where_it_cannot_be_told_it_is_needed(world: FakeWorld) -> None:
    assert isinstance(world.darling, InhabitedDarling)
    world.darling.lost = True
    assert need(world) == "it cannot be told: the container cannot be looked into"
    world.darling.lost = False
    world.systemd.reachable = False
    assert (need(world) or "").startswith("it cannot be told")


def test_an_sshd_that_is_not_found_is_no_sign_of_rest(world: FakeWorld) -> None:
    assert Idling(Settings(on_demand=True, private_port=1024), world).need() == "sshd does not listen"
