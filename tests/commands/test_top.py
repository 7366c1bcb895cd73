"""``top``: what it prints, once, on a pipe and for programs."""

import json
from argparse import Namespace
from pathlib import Path

import jsonschema
import pytest

from darlingbuilder import cli
from darlingbuilder.commands import top
from darlingbuilder.commands.context import Context
from darlingbuilder.core import config
from darlingbuilder.core.errors import ExitCode
from tests.fakes import logins
from tests.fakes.host import make_host
from tests.fakes.programs import write

LINES = b"""\
ssh-ng://darling-builder x86_64-darwin k 4
ssh://gone x86_64-linux,i686-linux k 2 0.5
unix:///x armv7l-linux
"""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("PATH", logins.install(tmp_path / "net"))
    write(tmp_path / "net" / "bin" / "nix-store", 'echo "nix-store (Nix) 2.26.3"')
    logins.add(tmp_path / "net", "darling-builder")
    called = config.load(file=None, environment={}, flags={})
    return Context(called, None, make_host(tmp_path / "host", machines=LINES).world)


def arguments(*words: str) -> Namespace:
    return cli.parser().parse_args(["top", *words])


def test_on_a_pipe_it_looks_once_and_prints_lines(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert top.run(context, arguments()) is ExitCode.OK

    header, ours, gone, local, *reasons = capsys.readouterr().out.splitlines()
    assert header.split() == ["BUILDER", "SYSTEMS", "SLOTS", "SPEED", "STATE", "LATENCY", "LOAD", "MEM", "FREE"]
    assert ours.split()[:5] == ["ssh-ng://darling-builder", "x86_64-darwin", "0/4", "1", "up"]
    assert gone.split() == ["ssh://gone", "x86_64-linux,i686-linux", "0/2", "0.5", "down", "-", "-", "-"]
    assert local.split()[4] == "skipped"
    assert reasons == [
        "ssh://gone: ssh: Could not resolve hostname gone: Name or service not known",
        "unix:///x: Nix reaches it without ssh",
    ]


def test_a_program_gets_one_object_that_fits_the_schema(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    top.run(context, arguments("--schema"))
    schema = json.loads(capsys.readouterr().out)
    assert top.run(context, arguments("--json", "--once")) is ExitCode.OK
    fleet = json.loads(capsys.readouterr().out)

    jsonschema.Draft202012Validator(schema).validate(fleet)
    assert [one["uri"] for one in fleet["builders"] if one["ours"]] == ["ssh-ng://darling-builder"]
    assert fleet["builders"][1]["answer"]["reachable"] is False
    assert fleet["builders"][2]["answer"] is None


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "soon"])
def test_no_time_that_cannot_be_waited_for(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["top", f"--interval={wrong}"], ["status", f"--watch={wrong}"]):
        assert cli.main(words) is ExitCode.USAGE
        assert wrong in capsys.readouterr().err
