"""``config show``, for people and for programs."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from darlingbuilder.commands import config as command
from darlingbuilder.core import config, declaration
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ConfigError
from tests.names import METRICS_TIMER, PROXY, SOCKET, UNIT


def load(tmp_path: Path, toml: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(toml)
    return config.load(file=file, environment={}, flags={"grace": "5"})


def test_every_line_is_one_of_a_settings_file_with_its_origin(tmp_path: Path) -> None:
    loaded = load(tmp_path, 'port = 2300\nsupported_features = ["kvm"]\n')

    lines = command.text(command.view(loaded)).splitlines()

    read_back = tomllib.loads("\n".join(line.rpartition("  ")[0] for line in lines))
    assert (read_back["port"], read_back["supported_features"], read_back["grace"]) == (2300, ["kvm"], 5)
    assert [line.split()[0] for line in lines] == list(declaration.table())
    assert lines[1].endswith(str(tmp_path / "config.toml"))
    assert lines[-1].endswith("default")


def test_the_columns_are_aligned(tmp_path: Path) -> None:
    lines = command.text(command.view(load(tmp_path, ""))).splitlines()

    assert len({line.index(" = ") for line in lines}) == 1
    assert len({line.rindex("  ") for line in lines}) == 1


def test_json_holds_value_and_origin_of_each(tmp_path: Path) -> None:
    shown = msgspec.to_builtins(command.view(load(tmp_path, "port = 2300\n")))

    assert shown["port"] == {"value": 2300, "origin": str(tmp_path / "config.toml")}
    assert shown["grace"] == {"value": 5, "origin": "flag"}
    assert shown["nix.version"] == {"value": "", "origin": "default"}


def test_the_unit_is_for_a_system_with_the_file_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('state = "/srv/builder"\nnofile = 512\n')

    printed = command.unit(config.load(file=file, environment={}, flags={}), UNIT).splitlines()

    assert "LimitNOFILE=512:524288" in printed
    # When it is built, the file lies elsewhere than on the machine.
    assert str(file) not in "\n".join(printed)
    [pre] = [line for line in printed if line.startswith("ExecStartPre=+")]
    [start] = [line for line in printed if line.startswith("ExecStart=")]
    assert pre.endswith(" init")
    assert start.endswith(" serve --state=/srv/builder")


def test_socket_and_proxy_are_there_for_a_builder_on_demand_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("on_demand = true\nport = 2300\n")
    wanted = config.load(file=file, environment={}, flags={})

    assert "ListenStream=127.0.0.1:2300" in command.unit(wanted, SOCKET)
    assert "127.0.0.1:2223" in command.unit(wanted, PROXY)
    with pytest.raises(ConfigError, match=r"there is no darling-builder\.socket: on_demand is false"):
        command.unit(load(tmp_path, ""), SOCKET)


def test_the_units_of_the_metrics_are_there_for_whoever_wants_them_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('metrics_textfile = "/srv/a.prom"\nstate = "/srv/builder"\n')
    wanted = config.load(file=file, environment={}, flags={"instance": "second"})
    names = wanted.settings.names

    [start] = [line for line in command.unit(wanted, names.metrics_service).splitlines() if "ExecStart=" in line]
    assert start.endswith(" metrics --textfile=/srv/a.prom --instance=second --state=/srv/builder")
    assert "OnUnitActiveSec=60" in command.unit(wanted, names.metrics_timer)
    with pytest.raises(ConfigError, match=r"there is no darling-builder-metrics\.timer: metrics_textfile is unset"):
        command.unit(load(tmp_path, ""), METRICS_TIMER)
