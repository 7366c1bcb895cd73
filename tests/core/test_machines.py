"""The machines line, and how Nix's machines files include one another."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darlingbuilder.core import machines
from darlingbuilder.core.machines import Machine, Place
from darlingbuilder.core.settings import Settings
from tests.names import ALIAS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGc8 darling-builder\n"
_words = st.text("abcXYZ019._+-", min_size=1).filter(lambda word: word != "-")
_name_lists = st.lists(_words, max_size=3).map(tuple)


def files(**texts: str) -> Callable[[Path], str | None]:
    return lambda path: texts.get(path.name)


def test_the_line_has_the_eight_fields_that_nix_reads() -> None:
    fields = machines.ours(Settings(max_jobs=3, speed_factor=2), KEY).line.split(" ")

    assert fields[:7] == [
        "ssh-ng://darling-builder",
        "x86_64-darwin",
        "/etc/nix/darling-builder-key",
        "3",
        "2",
        "-",
        "-",
    ]
    assert base64.b64decode(fields[7]).decode() == KEY
    assert len(fields) == 8


def test_features_are_joined_by_commas_and_the_protocol_is_the_setting_s() -> None:
    settings = Settings(protocol="ssh", supported_features=["big-parallel", "kvm"], mandatory_features=["apple"])

    line = machines.ours(settings, KEY).line

    assert line.startswith("ssh://darling-builder x86_64-darwin ")
    assert " big-parallel,kvm apple " in line


def test_as_many_jobs_as_processors_are_offered_where_the_setting_says_auto() -> None:
    assert int(machines.ours(Settings(max_jobs="auto"), KEY).jobs) >= 1


@given(
    st.builds(
        Machine,
        uri=st.sampled_from(["ssh-ng://darling-builder", "ssh://u@h?x=1"]),
        systems=st.lists(_words, min_size=1, max_size=2).map(tuple),
        key=_words,
        jobs=st.integers(1, 99).map(str),
        speed=st.sampled_from(["1", "2.5"]),
        supported=_name_lists,
        mandatory=_name_lists,
        host_key=st.sampled_from(["", KEY]),
    )
)
def test_what_is_formatted_is_read_back_as_it_was(machine: Machine) -> None:
    assert machines.parse(machine.line) == machine


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("ssh-ng://darling-builder", "darling-builder"),
        ("ssh://me@darling-builder?compress=true", "darling-builder"),
        ("ssh-ng://mac.example:22/", "mac.example"),
        ("darling-builder", "darling-builder"),
    ],
)
def test_the_host_is_found_in_every_form_of_a_uri(uri: str, host: str) -> None:
    assert machines.parse(uri).host == host


def test_our_builder_is_found_among_foreign_and_broken_lines() -> None:
    broken = "ssh://x x86_64-darwin k 1 1 - - %%%"
    other_system = "ssh-ng://darling-builder x86_64-linux k"
    ours = "ssh-ng://darling-builder x86_64-darwin k 2"

    found = machines.find([broken, other_system, ours], ALIAS)

    assert found is not None
    assert found.jobs == "2"
    assert machines.find([broken, other_system], ALIAS) is None


def test_includes_are_followed_at_any_depth_and_a_missing_file_counts_as_empty() -> None:
    read = files(machines="a # comment\n@/etc/nix/ours\n", ours="# comment\nb\n\n@/gone\n")

    expansion = machines.expand("x;@/etc/nix/machines; y", read)

    assert expansion.entries == ("x", "a", "b", "y")
    assert expansion.files == {Path("/etc/nix/machines"), Path("/etc/nix/ours"), Path("/gone")}


def test_a_file_that_includes_itself_comes_to_an_end() -> None:
    assert machines.expand("@/m", files(m="a\n@/m\n")).entries == ("a",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@/etc/nix/machines", "@/etc/nix/machines;@/o"),
        ("ssh://mac x86_64-darwin ; ", "ssh://mac x86_64-darwin;@/o"),
        ("", "@/o"),
    ],
)
def test_the_include_is_added_without_a_blank_before_it_which_old_versions_of_nix_need(
    before: str, after: str
) -> None:
    assert machines.with_include(before, Path("/o")) == after


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("ssh://box", Place("ssh", "", "box", "")),
        ("ssh-ng://me@box:2222/?compress=true", Place("ssh-ng", "me", "box", "2222")),
        ("me@box", Place("ssh", "me", "box", "")),
        ("ssh-ng://box?compress=true&port=2222", Place("ssh-ng", "", "box", "2222")),
        ("ssh://box?port=-oX", Place("ssh", "", "box", "")),
        ("ssh://root@[::1]:22", Place("ssh", "root", "::1", "22")),
        ("box?compress=true", Place("ssh", "", "box", "")),
    ],
)
def test_where_ssh_finds_a_machine_is_read_from_its_uri(uri: str, place: Place) -> None:
    assert machines.parse(uri).place == place


@pytest.mark.parametrize(
    "uri",
    [
        "local",
        "daemon",
        "auto?x=1",
        "?x=1",
        "/mnt",
        "unix:///run/x",
        "https://x",
        "ssh://-oX=y",
        "ssh://-x@box",
        "ssh://",
    ],
)
def test_what_is_not_sshs_has_no_such_place(uri: str) -> None:
    assert machines.parse(uri).place is None


def test_a_key_in_the_uri_counts_where_the_line_has_none() -> None:
    pinned = base64.b64encode(KEY.encode()).decode()
    uri = f"ssh-ng://box?ssh-key=/in/uri&base64-ssh-public-host-key={quote(pinned)}"

    assert (machines.parse(uri).login_key, machines.parse(uri).pinning) == ("/in/uri", KEY)
    assert machines.parse(f"{uri} x86_64-linux /in/line").login_key == "/in/line"
    assert machines.parse("ssh://box?base64-ssh-public-host-key=%%%").pinning == ""


def test_a_line_that_pins_two_keys_gives_nix_a_known_hosts_file_with_both() -> None:
    other = KEY.replace("Gc8", "Gd9")
    machine = machines.ours(Settings(), KEY, other)
    # when: as Nix does (libstore/ssh.cc)
    known_hosts = f"{machine.host} {base64.b64decode(machine.line.split()[7]).decode()}\n"
    # then
    first, second = (" ".join(key.split()[:2]) for key in (KEY, other))
    assert [" ".join(line.split()[:3]) for line in known_hosts.splitlines() if line] == [
        f"darling-builder {first}",
        f"darling-builder {second}",
    ]
    assert machines.parse(machine.line).pinned == (first, second)


@pytest.mark.parametrize(("host_key", "pinned"), [("", ()), (KEY, (" ".join(KEY.split()[:2]),))])
def test_what_is_pinned_is_told(host_key: str, pinned: tuple[str, ...]) -> None:
    assert replace(machines.ours(Settings(), KEY), host_key=host_key).pinned == pinned
