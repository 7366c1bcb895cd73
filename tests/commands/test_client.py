"""``client``: what it prints, what it refuses, and that it takes effect at once."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.commands import client
from darlingbuilder.core import keypair
from darlingbuilder.core.errors import BuilderError, ExitCode, GuestPathError, KeyFileError, UsageError
from darlingbuilder.core.keypair import PublicKey
from darlingbuilder.core.paths import AUTHORIZED_KEYS, Paths
from darlingbuilder.core.settings import Settings
from tests.commands.builder import called, machine, make
from tests.fakes.connections import ConnectedDarling
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld
from tests.steps.prerequisites.machine import free_port

FILE = Path("/root/laptop.pub")
KEY = keypair.public_of(keypair.generate("me@laptop"))


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        make(made).host.write(FILE, KEY.line.encode())
        yield made


def run(world: FakeWorld, words: str) -> ExitCode:
    arguments = cli.parser().parse_args(["client", *words.split()])
    # A file's name is one of the machine, whose root is elsewhere here.
    return client.run(called(world), arguments)


def lets_in(world: FakeWorld, key: PublicKey = KEY) -> bool:
    return key.text.encode() in (world.darling.files().read(AUTHORIZED_KEYS) or b"")


def test_a_client_that_is_added_is_let_in_at_once(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, f"add laptop --key {FILE}") is ExitCode.OK
    assert lets_in(world)
    printed = capsys.readouterr().out
    assert f"may build here: ssh-ed25519 {KEY.fingerprint}" in printed
    assert "darlingbuilder export" in printed


def test_added_once_more_nothing_is_changed(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, f"add laptop --key {FILE}")
    before = seen(world.host.root / "var"), times(world.host.root / "var")
    run(world, f"add laptop --key {FILE}")
    assert "may build here already" in capsys.readouterr().out
    assert (seen(world.host.root / "var"), times(world.host.root / "var")) == before


def test_a_key_may_come_from_standard_input(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(KEY.line.encode())))
    run(world, "add laptop --key -")
    assert lets_in(world)


def test_clients_are_listed(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, "list")
    assert capsys.readouterr().out == "No other machine may build here.\n"
    run(world, f"add laptop --key {FILE}")
    capsys.readouterr()
    run(world, "list")
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "SINCE", "KEY", "COMMENT"]
    assert (line.split()[0], line.split()[-1]) == ("laptop", "me@laptop")
    assert KEY.fingerprint in line


def test_json_describes_each_client(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, f"add laptop --key {FILE} --json")
    added = json.loads(capsys.readouterr().out)
    world.host.write(Paths(Settings()).clients / "damaged.pub", b"nothing\n")
    run(world, "list --json")
    damaged, listed = json.loads(capsys.readouterr().out)
    assert added == listed
    assert (listed["name"], listed["type"], listed["in_guest"]) == ("laptop", "ssh-ed25519", True)
    assert (listed["fingerprint"], listed["comment"], listed["error"]) == (KEY.fingerprint, "me@laptop", None)
    assert (damaged["name"], damaged["in_guest"], damaged["error"]) == ("damaged", False, "is no public key of ssh's")


def test_a_client_that_is_removed_is_let_in_no_longer(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, f"add laptop --key {FILE}")
    capsys.readouterr()
    assert run(world, "remove laptop") is ExitCode.OK
    assert not lets_in(world)
    assert "is let in no longer; 0 connection(s)" in capsys.readouterr().out


def test_a_client_that_has_taken_the_guest_s_list_for_itself_is_shut_out_all_the_same(world: FakeWorld) -> None:
    # given: what its build may do, for the directories above are those of the guest's user
    run(world, f"add laptop --key {FILE}")
    etc = world.darling.files().real(AUTHORIZED_KEYS.parent)
    etc.rename(etc.with_name("aside"))
    etc.mkdir()
    (etc / AUTHORIZED_KEYS.name).write_text(f"restrict {KEY.text}\n")
    # when
    assert run(world, "remove laptop") is ExitCode.OK
    # then
    assert not lets_in(world)


def test_where_the_guest_s_list_cannot_be_reached_its_connections_are_looked_for_all_the_same(
    world: FakeWorld, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    # given: a connection of which the journal here says nothing, and a link in the directory's place
    config = chosen(port=str(free_port()))
    make(world, config)
    with connected(world, config.settings.port) as busy:
        add = cli.parser().parse_args(["client", "add", "laptop", "--key", str(FILE)])
        client.run(called(busy, config), add)
        etc = busy.darling.files().real(AUTHORIZED_KEYS.parent)
        etc.rename(etc.with_name("aside"))
        etc.symlink_to("aside")
        # when
        with pytest.raises(GuestPathError, match="no directory of its own"):
            client.run(called(busy, config), cli.parser().parse_args(["client", "remove", "laptop"]))
    # then
    assert "connections are left" in capsys.readouterr().err + caplog.text


@contextmanager
def connected(world: FakeWorld, port: int) -> Iterator[FakeWorld]:
    """Have somebody be connected to the guest's sshd."""
    darling = ConnectedDarling(world.darling.prefix, world.darling.user, world.accounts, ledger=world.host.ledger)
    darling.listen(port)
    darling.connect(port)
    try:
        yield FakeWorld(world.host, world.accounts, darling, world.nix, world.ssh, world.systemd)
    finally:
        darling.end()


def test_a_builder_that_is_down_can_be_given_clients_and_lose_them(world: FakeWorld) -> None:
    world.systemd.stop("darling-builder.service")
    run(world, f"add laptop --key {FILE}")
    assert lets_in(world)
    run(world, "remove laptop")
    assert not lets_in(world)


@pytest.mark.parametrize(
    "words",
    [
        "add",
        "add laptop",
        f"add --key {FILE}",
        "remove",
        f"remove laptop --key {FILE}",
        "list laptop",
        "list --key x",
    ],
)
def test_what_cannot_be_meant_is_refused(world: FakeWorld, words: str) -> None:
    with pytest.raises(UsageError):
        run(world, words)


def test_a_file_that_is_not_there_is_refused_and_nobody_let_in(world: FakeWorld) -> None:
    before = seen(world.host.root)
    with pytest.raises(KeyFileError, match="there is no such file"):
        run(world, "add laptop --key /root/other.pub")
    assert seen(world.host.root) == before


def test_without_a_builder_there_are_no_clients() -> None:
    with machine() as bare, pytest.raises(BuilderError, match="no builder"):
        run(bare, "list")
