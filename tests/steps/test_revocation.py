"""What a key has let in before ends with it, and nothing else does."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import pytest

from darlingbuilder.adapters.journal import Admission
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.revocation import Ended, Revocation
from tests.fakes.connections import ConnectedDarling
from tests.fakes.world import FakeWorld, fake_world
from tests.steps.prerequisites.machine import free_port

THEIRS, OTHERS = "SHA256:theirs", "SHA256:others"


@dataclass
class Guest:
    """A guest with an sshd, and what that has logged."""

    settings: Settings
    world: FakeWorld
    darling: ConnectedDarling
    log: list[Admission] = field(default_factory=list)

    def login(self, fingerprint: str | None) -> socket:
        """Come to it; with a fingerprint, the login is logged."""
        caller = self.darling.connect(self.settings.port)
        if fingerprint:
            self.log.append(Admission(time.time(), caller.getsockname(), fingerprint))
        return caller

    def revoke(self) -> Ended:
        return Revocation(self.settings, self.world, lambda since: [one for one in self.log if one.at >= since]).end(
            THEIRS
        )


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    settings = Settings(port=free_port())
    plain = fake_world(tmp_path, settings)
    darling = ConnectedDarling(plain.darling.prefix, settings.user, plain.accounts, ledger=plain.host.ledger)
    darling.listen(settings.port)
    world = FakeWorld(plain.host, plain.accounts, darling, plain.nix, plain.ssh, plain.systemd)
    yield Guest(settings, world, darling)
    darling.end()


def is_up(caller: socket) -> bool:
    """Whether the other end still holds the connection."""
    caller.settimeout(0.3)
    try:
        return caller.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def sleepers(guest: Guest) -> int:
    return sum("sleep" in one.name for one in guest.darling.processes())


def test_its_connections_end_with_all_that_they_run_and_others_go_on(guest: Guest) -> None:
    # given
    theirs = [guest.login(THEIRS) for _ in range(2)]
    others = guest.login(OTHERS)
    # when
    ended = guest.revoke()
    # then
    assert ended == Ended(2, 0)
    assert [is_up(caller) for caller in (*theirs, others)] == [False, False, True]
    assert sleepers(guest) == 1


def test_of_a_connection_that_nobody_has_logged_it_is_said_that_it_is_left(guest: Guest) -> None:
    caller = guest.login(None)
    assert guest.revoke() == Ended(0, 1)
    assert is_up(caller)


def test_an_earlier_login_from_the_same_port_is_not_taken_for_this_one(guest: Guest) -> None:
    caller = guest.login(None)
    guest.log.append(Admission(time.time() - 3600, caller.getsockname(), THEIRS))
    assert guest.revoke() == Ended(0, 1)
    assert is_up(caller)


def test_the_last_login_from_a_port_counts(guest: Guest) -> None:
    caller = guest.login(THEIRS)
    guest.log.append(Admission(time.time(), caller.getsockname(), OTHERS))
    assert guest.revoke() == Ended(0, 0)
    assert is_up(caller)


def test_where_nobody_is_connected_nothing_ends(guest: Guest) -> None:
    assert guest.revoke() == Ended(0, 0)
    guest.login(OTHERS)
    assert guest.revoke() == Ended(0, 0)
