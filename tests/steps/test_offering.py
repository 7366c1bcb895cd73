"""What another machine is told, in each form, and what it is not told."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from darlingbuilder.core import keypair, machines
from darlingbuilder.core.errors import ConfigError, UsageError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.keyring import Role
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.offering import snippets
from darlingbuilder.steps.offering.offer import Offer, Wish, offer
from darlingbuilder.steps.registration import alias_text
from darlingbuilder.steps.succession import Succession
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld, fake_world

HOST = "builder.example"
JUMP = Wish(HOST, jump="")
DIRECT = {"listen": "0.0.0.0"}  # noqa: S104 - nobody listens
OWN = keypair.public_of(keypair.generate("root@builder")).line


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    world = fake_world(tmp_path)
    Keys(Settings(), world).apply()
    world.host.write(Path("/etc/ssh/ssh_host_ed25519_key.pub"), OWN.encode())
    world.host.write(Path("/etc/ssh/ssh_host_rsa_key.pub"), b"ssh-rsa damaged\n")
    return world


def made(world: FakeWorld, wish: Wish = JUMP, **flags: str) -> Offer:
    return offer(chosen(**flags).settings, world, wish)


def host_key(world: FakeWorld) -> str:
    return keypair.needed(world.host, Paths(Settings()).host_key).text


def block(text: str) -> dict[str, str]:
    """Read an alias as ssh does."""
    lines = (line.strip() for line in text.splitlines() if not line.strip().startswith("#"))
    return dict(line.split(" ", 1) for line in lines)


def test_by_way_of_a_login_the_connection_leads_to_loopback(world: FakeWorld) -> None:
    told = block(snippets.ssh_config(made(world, Wish(HOST, jump="builds@builder.example:2022"))))
    assert told["Host"] == told["HostKeyAlias"] == f"darling-builder-{HOST}"
    assert (told["HostName"], told["Port"]) == ("127.0.0.1", "2222")
    assert told["ProxyJump"] == "builds@builder.example:2022"
    assert told["User"] == "darlingbuilder"
    assert told["IdentityFile"] == f"/etc/nix/darling-builder-{HOST}-key"
    assert told["StrictHostKeyChecking"] == "yes"


def test_a_client_waits_for_a_builder_that_has_yet_to_boot(world: FakeWorld) -> None:
    assert block(snippets.ssh_config(made(world)))["ConnectTimeout"] == "30"
    patient = block(snippets.ssh_config(made(world, on_demand="true", boot_timeout="60")))["ConnectTimeout"]
    assert int(patient) >= 120


def test_an_address_of_ipv6_is_no_host_with_a_port(world: FakeWorld) -> None:
    told = made(world, Wish("fd77::1", jump=""))
    assert block(snippets.ssh_config(told))["ProxyJump"] == "[fd77::1]"
    assert snippets.known_hosts(told).splitlines()[1].startswith("fd77::1 ")


def test_without_a_login_named_it_is_one_to_this_machine(world: FakeWorld) -> None:
    assert made(world).jump == HOST


def test_by_the_port_it_leads_to_this_machine(world: FakeWorld) -> None:
    told = block(snippets.ssh_config(made(world, Wish(HOST), port="2345", **DIRECT)))
    assert (told["HostName"], told["Port"]) == (HOST, "2345")
    assert "ProxyJump" not in told


@pytest.mark.parametrize("wish", [JUMP, Wish(HOST)])
def test_a_client_s_alias_leaves_no_more_to_its_other_configuration_than_our_own(
    world: FakeWorld, wish: Wish
) -> None:
    own = block(alias_text(chosen().settings).split("\n\n")[0])
    theirs = block(snippets.ssh_config(made(world, wish, **DIRECT)))
    # Our own known_hosts is ours alone; a client's has other machines' keys, too.
    where = {"UserKnownHostsFile", "GlobalKnownHostsFile"}
    assert own.keys() - where <= theirs.keys() | ({"ProxyCommand"} if "ProxyJump" in theirs else set())
    assert (theirs["ControlMaster"], theirs["ControlPath"], theirs["Compression"]) == ("no", "none", "no")
    assert theirs.get("ProxyCommand", "none") == "none"


def test_the_line_is_this_machine_s_own_but_for_names_and_key(world: FakeWorld) -> None:
    # given
    settings = chosen(supported_features="kvm,apple", mandatory_features="apple", max_jobs="7", speed_factor="3")
    # when
    line = machines.parse(snippets.line(offer(settings.settings, world, Wish(HOST, jump="", name="mac", key="/k"))))
    # then
    own = machines.ours(settings.settings, f"{host_key(world)}\n")
    assert line == replace(own, uri="ssh-ng://mac", key="/k")


@pytest.mark.parametrize(
    ("nix", "wish", "uri"),
    [
        ((), Wish(HOST), "ssh-ng://darling-builder-builder.example"),
        ((2, 26, 3), Wish(HOST), "ssh-ng://darling-builder-builder.example"),
        ((2, 31), Wish(HOST), "ssh-ng://darlingbuilder@builder.example:2222"),
        ((2, 34, 8), Wish(HOST), "ssh-ng://darlingbuilder@builder.example:2222"),
        ((2, 34, 8), JUMP, "ssh-ng://darling-builder-builder.example"),
        ((2, 34, 8), Wish("fd77::1"), "ssh-ng://darling-builder-fd77--1"),
        # Lix.
        ((2, 93, 0), Wish(HOST), "ssh-ng://darling-builder-builder.example"),
    ],
)
def test_a_newer_nix_is_given_the_port_itself(world: FakeWorld, nix: tuple[int, ...], wish: Wish, uri: str) -> None:
    assert snippets.line(made(world, wish, **DIRECT), nix).split()[0] == uri


def test_known_hosts_has_the_builder_and_the_machine_on_the_way(world: FakeWorld) -> None:
    assert snippets.known_hosts(made(world)).splitlines() == [
        f"darling-builder-{HOST} {host_key(world)}",
        f"{HOST} {' '.join(OWN.split()[:2])}",
    ]
    assert f"[{HOST}]:2022 " in snippets.known_hosts(made(world, Wish(HOST, jump=f"me@{HOST}:2022")))
    # Of another machine nobody here can tell the key.
    assert len(snippets.known_hosts(made(world, Wish(HOST, jump="bastion.example"))).splitlines()) == 1
    direct = snippets.known_hosts(made(world, Wish(HOST), **DIRECT))
    assert direct == f"darling-builder-{HOST},[{HOST}]:2222 {host_key(world)}\n"


def test_while_the_host_key_is_replaced_the_client_is_given_both(world: FakeWorld) -> None:
    Succession(Settings(), world, Role.HOST).generate()
    told = made(world)
    assert len(told.host_keys) == 2
    assert machines.parse(snippets.line(told)).pinned == tuple(told.host_keys)
    assert snippets.known_hosts(told).count(f"darling-builder-{HOST} ") == 2


@pytest.mark.parametrize("form", ["machines", "ssh-config", "known-hosts", "nixos", "nix-darwin", "nixpkgs-review"])
def test_no_form_has_anything_private_in_it(world: FakeWorld, form: str) -> None:
    text = snippets.TEXTS[form](made(world), ())
    private = [
        (world.host.read(path) or b"").decode() for path in (Paths(Settings()).key, Paths(Settings()).host_key)
    ]
    assert all(line not in text for one in private for line in one.splitlines() if line)
    assert text.endswith("\n")


def test_a_comment_among_machines_breaks_no_nix(world: FakeWorld) -> None:
    """Before 2.34, a semicolon begins an entry even there, and an entry of blanks is an error."""
    comment, line = snippets.TEXTS["machines"](made(world), ()).splitlines()
    assert comment.startswith("#")
    assert ";" not in comment
    assert len(line.split()) == 8


def test_the_string_for_nixpkgs_review_is_one_line(world: FakeWorld) -> None:
    assert snippets.TEXTS["nixpkgs-review"](made(world), ()) == f"{snippets.line(made(world))}\n"


def test_modules_have_the_key_as_they_want_it(world: FakeWorld) -> None:
    pinned = base64.b64encode(f"{host_key(world)}\n".encode()).decode()
    for form, place in (("nixos", "programs.ssh.extraConfig"), ("nix-darwin", "environment.etc.")):
        text = snippets.TEXTS[form](made(world), ())
        assert f'publicHostKey = "{pinned}";' in text
        assert place in text


def test_json_holds_all_of_it(world: FakeWorld) -> None:
    view = snippets.view(made(world), ())
    assert view.machines.split()[7] == view.public_host_key
    assert view.ssh_config == snippets.ssh_config(view.offer)
    assert json.loads(msgspec.json.encode(view))["offer"]["host_keys"] == [host_key(world)]


def test_where_others_cannot_reach_the_port_that_is_said_with_both_remedies(world: FakeWorld) -> None:
    with pytest.raises(ConfigError, match=r"listen is 127\.0\.0\.1 alone") as caught:
        made(world, Wish(HOST))
    assert "export --jump" in caught.value.hint
    assert "listen = [" in caught.value.hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "localhost.localdomain"])  # noqa: S104
def test_what_a_client_calls_itself_is_no_name_for_this_machine(world: FakeWorld, host: str) -> None:
    with pytest.raises(UsageError, match="is what a client calls itself"):
        made(world, Wish(host, jump=""))


@pytest.mark.parametrize("host", ["builder.example:2222", "192.0.2.7:2222"])
def test_a_host_with_a_port_is_none_for_the_port_is_the_builder_s(world: FakeWorld, host: str) -> None:
    with pytest.raises(UsageError, match="is a host with a port") as caught:
        made(world, Wish(host, jump=""))
    assert caught.value.hint == f"the port is the builder's: leave it out, --host {host.partition(':')[0]}"


@pytest.mark.parametrize(
    "wish",
    [
        Wish("fd77::1::2", jump=""),
        Wish("builder:example", jump=""),
        Wish("fe80::1%eth0", jump=""),
        Wish("-oProxyCommand=sh", jump=""),
        Wish("a b", jump=""),
        Wish("", jump=""),
        Wish(HOST, jump="-oProxyCommand=sh"),
        Wish(HOST, jump="me@host;sh"),
        Wish(HOST, jump="", name="a b"),
        Wish(HOST, jump="", name="x${y}"),
        Wish(HOST, jump="", key="relative"),
        Wish(HOST, jump="", key="/with space"),
        Wish(HOST, jump="", key="/with;semicolon"),
        # It would jump over itself.
        Wish(HOST, jump="", name=HOST),
        Wish(HOST, jump="me@bastion", name="bastion"),
    ],
)
def test_what_would_mean_something_else_in_a_client_s_files_is_refused(world: FakeWorld, wish: Wish) -> None:
    with pytest.raises(UsageError):
        made(world, wish)


def test_several_machines_may_be_on_the_way(world: FakeWorld) -> None:
    assert made(world, Wish(HOST, jump=f"me@bastion,builds@{HOST}")).jump == f"me@bastion,builds@{HOST}"


def test_a_guest_that_builds_nothing_is_offered_to_nobody(world: FakeWorld) -> None:
    with pytest.raises(ConfigError, match=r"nothing to export.*nothing is built"):
        made(world, store="symlink")
