"""All builders of a host's Nix at one look: asked as Nix would, and whatever they answer."""

import base64
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import pytest

from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_MACHINES
from darlingbuilder.steps.overview import fleet
from darlingbuilder.steps.overview.fleet import BuilderView, Fleet, Own
from tests.fakes import logins
from tests.fakes.configured_nix import ConfiguredNix
from tests.fakes.host import make_host
from tests.fakes.programs import write
from tests.names import ALIAS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGc8 mac\n"
PINNED = base64.b64encode(KEY.encode()).decode()


OURS = Own(ALIAS, None, lambda: False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", logins.install(tmp_path / "net"))
    write(tmp_path / "net" / "bin" / "nix-store", 'echo "nix-store (Nix) 2.26.3"')
    return tmp_path / "net"


def look(place: Path, *lines: str, timeout: float = 20, nix_conf: bytes = b"") -> Fleet:
    host = make_host(place.parent / "host", machines="\n".join(lines).encode(), nix_conf=nix_conf)
    seen = fleet.look(host.world, [OURS], timeout=timeout)
    # Whatever was answered, it is what the schema says.
    jsonschema.Draft202012Validator(msgspec.json.schema(Fleet)).validate(msgspec.to_builtins(seen))
    return seen


def only(seen: Fleet) -> BuilderView:
    (builder,) = seen.builders
    return builder


def test_a_linux_machine_tells_its_load_and_memory(place: Path) -> None:
    logins.add(place, "box")
    seen = only(look(place, "ssh-ng://root@box x86_64-linux,i686-linux /root/key 3 2.5 kvm big -"))

    answer = seen.answer
    assert (seen.ours, seen.systems) == (False, ["x86_64-linux", "i686-linux"])
    assert (seen.speed, seen.features) == (2.5, ["kvm", "big"])
    assert (seen.slots.used, seen.slots.max) == (0, 3)
    assert answer is not None
    assert answer.reachable
    assert answer.why is None
    assert len(answer.load or []) == 3
    assert (answer.memory or 0) > (answer.memory_available or 0) > 0
    assert answer.processors
    assert answer.latency


def test_a_mac_tells_them_by_sysctl(place: Path) -> None:
    # given: what has no /proc, and macOS's sysctl
    mac = logins.add(place, "mac")
    write(mac / "sysctl", 'case "$2" in vm.loadavg) echo "{ 2.50 1.25 1.00 }";; hw.memsize) echo 17179869184;; esac')
    write(mac / "test", "exit 1")
    write(mac / "sh", "shift; exec /bin/sh -c \"$(printf '%s' \"$1\" | sed 's,/proc/,/no/proc/,g')\"")

    answer = only(look(place, "ssh://mac x86_64-darwin")).answer

    assert answer is not None
    assert (answer.load, answer.memory, answer.memory_available) == ([2.5, 1.25, 1.0], 2**34, None)


def test_it_is_asked_with_the_key_and_the_host_key_of_its_line_as_nix_does(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # And with no agent: the daemon has none.
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    logins.add(place, "mac")
    look(place, f"ssh-ng://builder@mac x86_64-darwin /etc/nix/mac_key 1 1 - - {PINNED}")

    called, agent, known_hosts = logins.log_of(place).read_text().splitlines()[:3]
    assert agent == "agent: none"
    words = called.split()
    assert words[words.index("-i") + 1] == "/etc/nix/mac_key"
    assert "builder@mac" in words
    assert "-oBatchMode=yes" in words
    assert known_hosts == f"mac {KEY.strip()}"


def test_a_forced_command_is_unknown_and_no_error(place: Path) -> None:
    logins.add(place, "git", forced="Welcome to git!\nload 1 2 3\n")
    answer = only(look(place, "git x86_64-linux")).answer

    assert answer is not None
    assert (answer.reachable, answer.load) == (True, None)
    assert "forced command" in (answer.why or "")


@pytest.mark.parametrize(
    "said",
    [
        "", "\n\n", "darlingbuilder-top\n", "darlingbuilder-top\nload\nMemTotal: kB\nprocessors many",
        "darlingbuilder-top\nload 1\nprocessors 99999999999999999999999999", "\x1b[2J\x00" * 1000,
        "darlingbuilder-top\nload { nan inf -1 }\nMemTotal: -5 kB",
    ],
)  # fmt: skip
def test_whatever_a_login_prints_is_an_answer(place: Path, said: str) -> None:
    logins.add(place, "odd", forced=said)
    answer = only(look(place, "ssh://odd x86_64-linux")).answer

    assert answer is not None
    assert answer.reachable


def test_one_that_does_not_answer_is_told_with_ssh_s_own_words(place: Path) -> None:
    answer = only(look(place, "ssh://nobody x86_64-linux")).answer

    assert answer is not None
    assert not answer.reachable
    assert answer.why == "ssh: Could not resolve hostname nobody: Name or service not known"


def test_they_are_asked_side_by_side_and_not_waited_for(place: Path) -> None:
    for name in ("one", "two", "three"):
        logins.add(place, name, mute="")
    began = time.monotonic()
    seen = look(place, "one x86_64-linux", "two x86_64-linux", "three x86_64-linux", timeout=1)

    assert time.monotonic() - began < 2.5
    assert [one.answer.why for one in seen.builders if one.answer] == ["no answer within 1 s"] * 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("unix:///run/x x86_64-linux", "without ssh"),
        ("local x86_64-linux", "without ssh"),
        ("daemon?x=1 x86_64-linux", "without ssh"),
        ("/mnt/store x86_64-linux", "without ssh"),
        ("https://cache x86_64-linux", "without ssh"),
        ("ssh://-oProxyCommand=touch x86_64-linux", "without ssh"),
        ("ssh://localhost x86_64-linux", "takes «localhost» for this machine"),
        ("ssh://root@box:2222 x86_64-linux", "Nix 2.26.3 takes no port"),
        ("ssh://box x86_64-linux - 1 1 - - %%%", "cannot be read"),
    ],
)
def test_what_ssh_does_not_reach_is_listed_and_not_asked(place: Path, line: str, why: str) -> None:
    seen = only(look(place, line))

    assert seen.answer is None
    assert why in (seen.why_not or "")
    assert not logins.log_of(place).exists()


def test_a_port_is_given_to_ssh_where_nix_would(place: Path) -> None:
    write(place / "bin" / "nix-store", 'echo "nix-store (Nix) 2.34.8"')
    logins.add(place, "box")
    seen = only(look(place, "ssh://root@box:2222 x86_64-linux"))

    assert seen.answer is not None
    assert seen.answer.reachable
    assert "-p2222" in logins.log_of(place).read_text()


def test_included_files_and_the_setting_itself_are_followed(place: Path) -> None:
    conf = f"builders = @{NIX_MACHINES};ssh://inline x86_64-linux\n".encode()
    seen = look(place, "ssh://file x86_64-linux", nix_conf=conf)

    assert [one.uri for one in seen.builders] == ["ssh://file", "ssh://inline"]


def test_without_nix_the_files_are_read_nevertheless(place: Path) -> None:
    (place / "bin" / "nix-store").unlink()
    host = make_host(place.parent / "host", machines=b"ssh://box x86_64-linux\n")
    world = replace(host.world, nix=ConfiguredNix(host.tree, installed=False))
    host.tree.write(HOST_NIX_CONF, b"max-jobs = 1\n")

    seen = fleet.look(world, [OURS], timeout=5)

    assert [one.uri for one in seen.builders] == ["ssh://box"]
    assert {error.part for error in seen.errors} == {"nix"}


def test_without_a_builder_there_is_nothing_to_ask(place: Path) -> None:
    assert look(place).builders == []


def test_our_own_on_demand_is_asked_past_the_port_that_would_start_it_and_not_at_all_while_it_is_down(
    place: Path,
) -> None:
    logins.add(place, "darling-builder")
    host = make_host(place.parent / "host", machines=b"ssh-ng://darling-builder x86_64-darwin - 4 1 - - -")

    down = only(fleet.look(host.world, [replace(OURS, private_port=2223)], timeout=20))

    assert (down.ours, down.answer) == (True, None)
    assert down.why_not == "it is down, and starts with the first build"


def test_each_builder_of_this_host_is_ours_and_is_asked_where_its_own_sshd_listens(place: Path) -> None:
    logins.add(place, "darling-builder")
    lines = b"".join(
        b"ssh-ng://%s x86_64-darwin - 4 1 - - -\n" % name for name in (b"darling-builder", b"darling-builder-b")
    )
    host = make_host(place.parent / "host", machines=lines)
    other = Own("darling-builder-b", 2223, lambda: False)

    first, second = fleet.look(host.world, [OURS, other], timeout=20).builders

    assert (first.ours, second.ours) == (True, True)
    assert first.answer is not None
    assert second.why_not == "it is down, and starts with the first build"
