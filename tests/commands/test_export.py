"""``export``: the snippet and nothing else on stdout, and what is left to do on stderr."""

import json
import os
from collections.abc import Iterator

import pytest

from darlingbuilder import cli
from darlingbuilder.commands import export
from darlingbuilder.core import keypair, machines
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode, UsageError
from darlingbuilder.core.paths import SSH_CONFIG
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.clients import Clients
from tests.commands.builder import called, machine, make
from tests.fakes.world import FakeWorld

JUMP = "--jump --host builder.example"


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield make(made)


def run(world: FakeWorld, words: str) -> ExitCode:
    return export.run(called(world), cli.parser().parse_args(["export", *words.split()]))


def test_stdout_has_the_line_alone(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, JUMP) is ExitCode.OK
    said = capsys.readouterr()
    comment, line = said.out.splitlines()
    assert comment.startswith("# ")
    assert machines.parse(line).systems == ("x86_64-darwin",)
    assert "client add" in said.err


def test_where_there_is_a_client_nothing_is_left_to_say(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    Clients(Settings(), world.host).add("laptop", keypair.public_of(keypair.generate("me")))
    run(world, JUMP)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["known-hosts", "nixos", "nix-darwin", "json"])
def test_where_the_client_cannot_be_told_whom_it_comes_by_that_is_said(
    world: FakeWorld, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    key = SSH_CONFIG.with_name("ssh_host_ed25519_key.pub")
    world.host.remove(key)
    run(world, f"{JUMP} --format {form}")
    said = capsys.readouterr()
    assert "not told by which key to know the machine on its way" in said.err
    assert "builder.example" in said.err
    assert "ssh-keygen -A" in said.err
    # and when there is one, nothing is left to say of it
    world.host.write(key, keypair.public_of(keypair.generate("root@builder")).line.encode())
    run(world, f"{JUMP} --format {form}")
    assert "not told" not in capsys.readouterr().err


def test_this_machine_is_called_by_its_host_name(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, "--jump --format ssh-config")
    assert f"ProxyJump {os.uname().nodename}\n" in capsys.readouterr().out


def test_json_is_as_its_schema_says(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, f"{JUMP} --format json")
    told = json.loads(capsys.readouterr().out)
    run(world, "--schema")
    schema = json.loads(capsys.readouterr().out)
    assert told.keys() == schema["$defs"]["OfferView"]["properties"].keys()
    assert told["offer"].keys() == schema["$defs"]["Offer"]["properties"].keys()
    assert (told["offer"]["host"], told["offer"]["jump"]) == ("builder.example", "builder.example")


def test_the_string_for_nixpkgs_review_comes_with_what_to_do_with_it(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    run(world, f"{JUMP} --format nixpkgs-review")
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "--build-args" in said.err
    assert "export --format ssh-config" in said.err


def test_a_port_that_nobody_reaches_is_offered_to_nobody(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="no other machine reaches port 2222"):
        run(world, "--host builder.example")
    assert capsys.readouterr().out == ""


def test_a_version_that_is_none_is_refused(world: FakeWorld) -> None:
    with pytest.raises(UsageError, match="is no version"):
        run(world, f"{JUMP} --nix-version newest")


def test_without_a_builder_there_is_nothing_to_offer() -> None:
    with machine() as bare, pytest.raises(BuilderError, match="no builder"):
        run(bare, JUMP)
