"""Listening beyond loopback: what sshd, the socket and the unit are told, and what whoever chose it is."""

from pathlib import Path

import pytest

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.paths import SSHD_CONFIG
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import exposure
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.socketunits import has_port
from darlingbuilder.steps.sshd import Sshd
from darlingbuilder.steps.units import Units
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld, fake_world
from tests.names import SOCKET, SOCKET_FILE, UNIT_FILE

# For documents alone: no machine has them.
ADDRESS, ADDRESS6 = "192.0.2.7", "2001:db8::7"


def lines_of(tree: Tree, path: Path) -> list[str]:
    return (tree.read(path) or b"").decode().splitlines()


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path).with_prefix()


def configured(world: FakeWorld, **flags: str) -> list[str]:
    settings = chosen(**flags).settings
    Keys(settings, world).apply()
    Sshd(settings, world).apply()
    wanted = ("AddressFamily", "ListenAddress", "Port")
    return [line for line in lines_of(world.darling.files(), SSHD_CONFIG) if line.startswith(wanted)]


def test_without_a_word_sshd_listens_on_loopback_alone(world: FakeWorld) -> None:
    assert configured(world) == ["Port 2222", "AddressFamily inet", "ListenAddress 127.0.0.1"]


def test_sshd_listens_where_the_setting_says_and_on_loopback(world: FakeWorld) -> None:
    assert configured(world, listen=f"{ADDRESS},{ADDRESS6}") == [
        "Port 2222",
        "AddressFamily any",
        "ListenAddress 127.0.0.1",
        f"ListenAddress {ADDRESS}",
        f"ListenAddress {ADDRESS6}",
    ]


def test_on_demand_systemd_has_these_addresses_and_sshd_has_loopback(world: FakeWorld) -> None:
    flags = {"listen": f"{ADDRESS},{ADDRESS6}", "on_demand": "true"}
    assert configured(world, **flags) == ["Port 2223", "AddressFamily inet", "ListenAddress 127.0.0.1"]
    Units(chosen(**flags), world).apply()
    socket = lines_of(world.host, SOCKET_FILE)
    assert [line for line in socket if line.startswith("ListenStream")] == [
        "ListenStream=127.0.0.1:2222",
        f"ListenStream={ADDRESS}:2222",
        f"ListenStream=[{ADDRESS6}]:2222",
    ]
    assert {"FreeBind=yes", "BindIPv6Only=ipv6-only"} <= set(socket)
    assert world.systemd.unit(SOCKET).activity is Activity.ACTIVE


def test_a_port_is_known_as_the_socket_s_whatever_the_address() -> None:
    assert has_port("[Socket]\nListenStream=[::]:2222\n", 2222)
    assert not has_port("[Socket]\nListenStream=127.0.0.1:12222\n", 2222)


@pytest.mark.parametrize(("listen", "waits"), [("127.0.0.1", False), (ADDRESS, True)])
def test_the_unit_waits_for_addresses_only_where_it_needs_one(world: FakeWorld, listen: str, *, waits: bool) -> None:
    Units(chosen(listen=listen), world).apply()
    assert ("After=network-online.target" in lines_of(world.host, UNIT_FILE)) is waits


def test_loopback_alone_is_nothing_to_remark_on() -> None:
    assert exposure.notes(chosen(listen="127.0.0.1,::1").settings) == []


def test_beyond_it_the_risk_is_named_and_the_remedies() -> None:
    [note] = exposure.notes(chosen(listen="0.0.0.0").settings)  # noqa: S104 - nobody listens
    assert "whoever reaches port 2222 of 0.0.0.0" in note.detail
    assert "8.1p1" in note.detail
    assert "firewall" in note.hint
    assert "export --jump" in note.hint


@pytest.mark.parametrize(("on_demand", "when"), [("false", "when the builder starts"), ("true", "as soon as")])
def test_an_address_that_the_machine_has_not_is_remarked_on(on_demand: str, when: str) -> None:
    _, note = exposure.notes(chosen(listen=ADDRESS, on_demand=on_demand).settings)
    assert f"{ADDRESS} is no address of this machine now" in note.detail
    assert when in note.detail
