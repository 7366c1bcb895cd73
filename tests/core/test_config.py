"""Settings come from four sources, the later before the earlier, and each value knows its own."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from darlingbuilder.core import config, declaration
from darlingbuilder.core.config import Config
from darlingbuilder.core.declaration import Setting
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.settings import Settings

SETTINGS = list(declaration.table().values())


def load(
    tmp_path: Path,
    toml: str = "",
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(toml)
    return config.load(file=file, environment=environment or {}, flags=flags or {})


def test_without_any_source_every_value_is_the_default() -> None:
    loaded = config.load(file=None, environment={}, flags={})

    assert config.flatten(loaded.settings) == {setting.key: setting.default for setting in SETTINGS}
    assert set(loaded.origins.values()) == {"default"}


def test_the_file_goes_before_the_default(tmp_path: Path) -> None:
    loaded = load(tmp_path, "port = 2300\n")

    assert loaded.settings.port == 2300
    assert loaded.origins["port"] == str(tmp_path / "config.toml")


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    loaded = load(tmp_path, "port = 2300\n", {"DARLINGBUILDER_PORT": "2400"})

    assert (loaded.settings.port, loaded.origins["port"]) == (2400, "environment")


def test_a_flag_goes_before_the_environment(tmp_path: Path) -> None:
    loaded = load(tmp_path, "port = 2300\n", {"DARLINGBUILDER_PORT": "2400"}, {"port": "2500"})

    assert (loaded.settings.port, loaded.origins["port"]) == (2500, "flag")


def test_each_value_has_the_origin_of_its_own_source(tmp_path: Path) -> None:
    loaded = load(tmp_path, "cores = 2\n", {"DARLINGBUILDER_GRACE": "5"}, {"nofile": "512"})

    origins = {key: loaded.origins[key] for key in ("cores", "grace", "nofile", "port")}
    assert origins == {
        "cores": str(tmp_path / "config.toml"),
        "grace": "environment",
        "nofile": "flag",
        "port": "default",
    }


def test_the_keys_of_a_table_are_settings_like_others(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[nix]\nversion = "2.31.2"\n')

    assert loaded.settings.nix.version == "2.31.2"
    assert loaded.origins["nix.version"] == str(tmp_path / "config.toml")


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 2300\n")

    loaded = config.load(file=None, environment={"DARLINGBUILDER_CONFIG": str(tmp_path / "other.toml")}, flags={})

    assert loaded.settings.port == 2300


def test_the_option_names_the_file_before_the_variable(tmp_path: Path) -> None:
    loaded = load(tmp_path, "port = 2300\n", {"DARLINGBUILDER_CONFIG": "/nowhere"})

    assert loaded.settings.port == 2300


@pytest.mark.parametrize("said", ["option", "variable"])
def test_a_relative_name_holds_in_other_directories_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "other.toml").write_text("port = 2300\n")
    monkeypatch.chdir(tmp_path)
    file = Path("other.toml")

    loaded = config.load(
        file=file if said == "option" else None, environment={"DARLINGBUILDER_CONFIG": str(file)}, flags={}
    )

    assert loaded.file == tmp_path / "other.toml"
    assert loaded.origins["port"] == str(tmp_path / "other.toml")


def test_dev_null_is_a_file_without_settings() -> None:
    loaded = config.load(file=Path("/dev/null"), environment={}, flags={})

    assert set(loaded.origins.values()) == {"default"}


@pytest.mark.parametrize("text", ["kvm big-parallel", "kvm,big-parallel", "kvm, big-parallel"])
def test_a_list_in_text_is_separated_by_commas_or_spaces(text: str) -> None:
    loaded = config.load(file=None, environment={"DARLINGBUILDER_SUPPORTED_FEATURES": text}, flags={})

    assert loaded.settings.supported_features == ["kvm", "big-parallel"]


@pytest.mark.parametrize(("text", "jobs"), [("8", 8), ("auto", "auto")])
def test_max_jobs_is_a_number_or_auto(text: str, jobs: int | str) -> None:
    assert config.load(file=None, environment={}, flags={"max_jobs": text}).settings.max_jobs == jobs


@pytest.mark.parametrize(("text", "on"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_a_switch_is_true_or_false_in_text(text: str, *, on: bool) -> None:
    loaded = config.load(file=None, environment={"DARLINGBUILDER_REGISTER": text}, flags={})

    assert loaded.settings.register is on


@pytest.mark.parametrize(
    ("written", "meant"), [("prot", "port"), ("max-jobs", "max_jobs"), ("supported_feature", "supported_features")]
)
def test_an_unknown_key_is_answered_with_the_nearest_one(tmp_path: Path, written: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{written} = 1\n")

    assert f"unknown setting {written!r}" in str(caught.value)
    assert f"did you mean {meant!r}?" in caught.value.hint


def test_an_unknown_key_of_a_table_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[nix]\nversoin = '2.31.2'\n")

    assert "did you mean 'nix.version'?" in caught.value.hint


def test_an_unknown_variable_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(file=None, environment={"DARLINGBUILDER_PROT": "1"}, flags={})

    assert "did you mean 'DARLINGBUILDER_PORT'?" in caught.value.hint


def test_an_error_names_file_key_and_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: port = 80: Expected `int` >= 1024") as caught:
        load(tmp_path, "port = 80\n")

    assert "from 1024 to 65535" in caught.value.hint


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_help_a_flag_and_a_variable(setting: Setting) -> None:
    assert len(setting.help) > 10
    assert setting.flag.startswith("--")
    assert setting.variable.startswith("DARLINGBUILDER_")
    assert declaration.describe(setting).startswith(setting.help)


def test_no_two_settings_share_a_flag_or_a_variable() -> None:
    assert len({setting.flag for setting in SETTINGS}) == len(SETTINGS)
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_default_can_be_said_as_text(setting: Setting) -> None:
    text = declaration.as_text(setting.default)

    loaded = config.load(file=None, environment={}, flags={setting.key: text})

    assert config.flatten(loaded.settings)[setting.key] == setting.default


def test_what_is_flattened_inflates_to_the_same_settings(tmp_path: Path) -> None:
    settings = load(tmp_path, 'max_jobs = "auto"\n[nix]\nversion = "2.31.2"\n').settings

    assert config.inflate(config.flatten(settings)) == settings


def test_an_instance_has_a_file_and_defaults_of_its_own() -> None:
    loaded = config.load(file=None, environment={}, flags={"instance": "second"})

    assert loaded.file == Path("/etc/darlingbuilder/instances/second.toml")
    settings = loaded.settings
    assert settings.state == "/var/lib/darling-builder-second"
    assert settings.key == "/etc/nix/darling-builder-second-key"
    assert settings.user == "darlingbuilder-second"
    assert settings.private_port == settings.port + 1
    assert 22000 <= settings.port < 32000
    assert loaded.origins["port"] == "default"
    assert settings.max_jobs == Settings().max_jobs


def test_the_ports_of_an_instance_are_the_same_each_time() -> None:
    loaded = config.load(file=None, environment={"DARLINGBUILDER_INSTANCE": "second"}, flags={})
    assert (loaded.settings.port, loaded.settings.private_port) == (30770, 30771)


def test_a_flag_names_another_instance_than_the_environment() -> None:
    loaded = config.load(file=None, environment={"DARLINGBUILDER_INSTANCE": "b"}, flags={"instance": "c"})
    assert (loaded.settings.names.alias, loaded.origins["instance"]) == ("darling-builder-c", "flag")


def test_a_file_that_is_named_may_say_whose_it_is(tmp_path: Path) -> None:
    loaded = load(tmp_path, 'instance = "second"\ncores = 2\n')
    assert (loaded.settings.instance, loaded.settings.cores) == ("second", 2)
    assert loaded.settings.state == "/var/lib/darling-builder-second"


def test_a_file_of_another_instance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="says instance = 'second', and is read for 'third'") as refused:
        load(tmp_path, 'instance = "second"\n', flags={"instance": "third"})
    assert "/etc/darlingbuilder/instances/second.toml" in refused.value.hint


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "1", "a_b", "a/b", "fourteen-chars", "out-of-service", "a\n", ".."]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="flag: instance = "):
        config.load(file=None, environment={}, flags={"instance": name})


def test_the_longest_name_leaves_the_prefix_as_short_as_it_has_to_be() -> None:
    settings = config.load(file=None, environment={}, flags={"instance": "a" * 13}).settings
    assert len(bytes(settings.prefix_path)) <= 78
    assert len(settings.user) <= 31
