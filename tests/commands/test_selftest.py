"""What ``test`` prints, and its exit code."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from darlingbuilder.commands import selftest
from darlingbuilder.commands.context import Context
from darlingbuilder.core import config, marker
from darlingbuilder.core.errors import BuilderError, ConfigError, ExitCode
from tests.fakes.host import Host, make_host
from tests.names import UNIT


def make_context(host: Host, *, port: int = 2222, made: bool = True) -> Context:
    called = config.load(file=None, environment={}, flags={"port": str(port)})
    return Context(called, marker.of(called) if made else None, host.world)


def arguments(*, as_json: bool = False) -> Namespace:
    return Namespace(json=as_json, no_build=False, timeout=5.0)


def test_the_first_failure_is_shown_with_its_hint_and_gives_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = selftest.run(make_context(make_host(tmp_path)), arguments())

    lines = capsys.readouterr().out.splitlines()
    assert code is ExitCode.FAILED
    assert lines[0].startswith("  FAILED unit")
    assert "darlingbuilder start" in lines[1]
    assert sum("not run" in line for line in lines) == 8


def test_json_lists_every_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = make_host(tmp_path)
    host.systemd.packaged.add(UNIT)
    host.systemd.start(UNIT)

    code = selftest.run(make_context(host, port=1024), arguments(as_json=True))

    view = json.loads(capsys.readouterr().out)
    assert code is ExitCode.FAILED
    assert view["passed"] is False
    assert [layer["state"] for layer in view["layers"]][:3] == ["passed", "failed", "not run"]
    assert [layer["layer"] for layer in view["layers"]] == [
        "unit", "tcp", "banner", "host key", "login", "guest", "nix", "store", "build"
    ]  # fmt: skip


def test_without_a_builder_there_is_nothing_to_test(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="no builder"):
        selftest.run(make_context(make_host(tmp_path), made=False), arguments())


def test_where_builds_are_off_there_is_nothing_to_test(tmp_path: Path) -> None:
    called = config.load(file=None, environment={}, flags={"store": "symlink"})
    context = Context(called, marker.of(called), make_host(tmp_path).world)

    with pytest.raises(ConfigError, match="has no Nix of its own") as caught:
        selftest.run(context, arguments())

    assert "copy" in caught.value.hint
