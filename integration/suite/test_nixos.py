"""The NixOS module: what its options come to, what it refuses, and that it keeps step with the program."""

import json
import re
from typing import Any

import pytest

from darlingbuilder.core import declaration
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.registration import alias_text, connect_seconds
from integration.suite.nixos import HERE, NixOs, file_of, settings, told, toml

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)

# The seed's module, word for word: its options, and their defaults where these can be told.
SEED = {
    "enable": False,
    "port": 2222,
    "maxJobs": 4,
    "speedFactor": 1,
    "shareStore": True,
    "sshKeyPath": "/etc/nix/darling-builder-key",
    "prefixPath": "/var/lib/darling-builder",
    "supportedFeatures": [],
    "mandatoryFeatures": [],
    "installNix": False,
}
# 2.24.12 was said to die in the guest: the default is one whose store path is known.
SEED_WITHOUT_ITS_DEFAULT = {"package", "nixVersion"}
SEED_EXAMPLE = """
{
imports = [ ./path/to/darling-nix/nix/darlingBuilderModule.nix ];

services.darling-builder = {
enable = true;
maxJobs = 4;
shareStore = true;
};
}
"""
CHOSEN: dict[str, Any] = {
    "port": 2345,
    "maxJobs": 8,
    "speedFactor": 3,
    "shareStore": False,
    "sshKeyPath": "/etc/ssh/darling-key",
    "prefixPath": "/srv/builder",
    "supportedFeatures": ["big-parallel", "kvm"],
    "mandatoryFeatures": ["kvm"],
    "installNix": True,
    "nixVersion": "2.20.3",
    "setuidWrapper": True,
    "limits": {"cores": 2, "minFree": "1G", "maxFree": "2G", "openFiles": 512, "bootTimeout": 30, "grace": 5},
    "settings": {"protocol": "ssh", "user": "other"},
}
CHOSEN_SETTINGS = {
    "port": 2345,
    "max_jobs": 8,
    "speed_factor": 3,
    "key": "/etc/ssh/darling-key",
    "state": "/srv/builder",
    "supported_features": ["big-parallel", "kvm"],
    "mandatory_features": ["kvm"],
    "nix.version": "2.20.3",
    "cores": 2,
    "min_free": "1G",
    "max_free": "2G",
    "nofile": 512,
    "boot_timeout": 30,
    "grace": 5,
    "protocol": "ssh",
    "user": "other",
    "darling": "/run/wrappers/bin/darling",
    "register": False,
    "install_unit": False,
    "store": "copy",
}
KEY = "c3NoLWVkMjU1MTkgQUFBQQo="


def test_every_option_of_the_seed_is_there_with_its_default(nixos: NixOs) -> None:
    options = nixos.system()["options"]

    assert {name: options[name]["default"] for name in SEED} == SEED
    assert options.keys() >= SEED_WITHOUT_ITS_DEFAULT


def test_the_document_has_a_row_for_every_option(nixos: NixOs) -> None:
    cells = re.findall(r"^\| ([^|]+) \|", (HERE / "docs/nixos.md").read_text(), re.MULTILINE)

    assert {name for cell in cells for name in re.findall("`([a-zA-Z]+)", cell)} == nixos.system()["options"].keys()


def test_switched_off_it_changes_nothing(nixos: NixOs) -> None:
    system = nixos.system()

    changed = {name: value for name, value in system.items() if name != "options" and value}
    assert changed == {"users": {"users": {}, "groups": {}}}


def test_the_seed_s_usage_example_works_as_it_stands(nixos: NixOs) -> None:
    nixos.machine.path("/etc/nixos/configuration.nix").write_text(SEED_EXAMPLE)

    system = nixos.value("import (checkout + /nix/tests/evaluate.nix) { imported = /etc/nixos/configuration.nix; }")

    assert (system["refused"], system["warnings"]) == ([], [])
    assert told(nixos, file_of(system))["max_jobs"] == 4
    assert system["units"]["darling-builder"]["wantedBy"] == ["multi-user.target"]
    assert system["distributedBuilds"] is True


def test_what_is_not_said_is_the_program_s_own_default(nixos: NixOs) -> None:
    said = told(nixos, file_of(nixos.system(settings({"package": None}))))

    defaults = {key: setting.default for key, setting in declaration.table().items()}
    assert {key: value for key, value in said.items() if value != defaults[key]} == {
        "register": False,
        "install_unit": False,
        "store": "overlay",
    }


def test_every_option_that_is_set_arrives(nixos: NixOs) -> None:
    system = nixos.system(settings(CHOSEN))

    assert system["refused"] == []
    assert told(nixos, file_of(system)) == CHOSEN_SETTINGS
    assert system["users"] == {"users": {}, "groups": {}}


def test_a_nix_for_the_guest_is_a_path_or_a_package(nixos: NixOs) -> None:
    path = "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"
    package = f'{{ type = "derivation"; name = "nix"; outPath = "{path}"; }}'

    for given in (f'"{path}"', package):
        system = nixos.system(f"{{ services.darling-builder = {{ enable = true; nix.package = {given}; }}; }}")
        assert told(nixos, file_of(system))["nix.package"] == path


def test_every_setting_of_the_program_can_be_said_and_means_the_same(nixos: NixOs) -> None:
    # Two sources of a Nix exclude each other; the rest of the defaults go together.
    values = {key: setting.default for key, setting in declaration.table().items()}
    values |= {"nix.tarball": "/srv/nix.tar.xz", "nix.sha256": "0" * 64}
    values |= {"register": False, "install_unit": False}

    system = nixos.system(settings({f"settings.{key}": value for key, value in values.items()}))

    assert told(nixos, file_of(system)) == values


@pytest.mark.parametrize(
    ("chosen", "store"),
    [
        ({}, "overlay"),
        ({"shareStore": False}, "copy"),
        ({"store": "symlink"}, "symlink"),
        ({"settings.store": "copy"}, "copy"),
    ],
    ids=["shared", "not-shared", "chosen", "by-setting"],
)
def test_a_shared_store_is_an_overlay(nixos: NixOs, chosen: dict[str, Any], store: str) -> None:
    assert file_of(nixos.system(settings(chosen)))["store"] == store


def test_a_setting_that_the_module_does_not_know_is_left_to_the_program_to_judge(nixos: NixOs) -> None:
    system = nixos.system(settings({"settings.colour": "blue", "settings.nix.colour": ["blue", 1]}))

    tree = file_of(system)
    assert (tree["colour"], tree["nix"]["colour"]) == ("blue", ["blue", 1])
    nixos.machine.path("/root/module.toml").write_text(toml(tree))
    refused = nixos.machine.run("darlingbuilder", "config", "unit", "--config", "/root/module.toml", check=False)
    assert refused.rc == 4
    assert "unknown setting 'colour'" in refused.stderr


def test_without_a_darling_in_nixpkgs_one_is_asked_for(nixos: NixOs) -> None:
    for packages in ("{ withDarling = false; }", "{ brokenDarling = true; }"):
        system = nixos.system(settings({}), packages=packages)
        [warning] = system["warnings"]
        assert "services.darling-builder.package" in warning
        assert system["wrappers"] == {}
        assert system["refused"] == []
        assert "darling" not in file_of(system)

    wrapper = '{ security.wrappers.darling = { source = "/x"; owner = "root"; group = "root"; setuid = true; }; }'
    elsewhere = nixos.system(f"{{ imports = [ {settings({})} {wrapper} ]; }}", packages="{ withDarling = false; }")
    assert elsewhere["warnings"] == []


def test_a_darling_gets_its_setuid_wrapper(nixos: NixOs) -> None:
    system = nixos.system(settings({}))

    wrapper = system["wrappers"]["darling"]
    assert wrapper["source"].endswith("-darling/bin/darling")
    assert (wrapper["owner"], wrapper["group"], wrapper["setuid"]) == ("root", "root", True)
    assert file_of(system)["darling"] == "/run/wrappers/bin/darling"
    assert nixos.system(settings({"setuidWrapper": False}))["wrappers"] == {}


def test_the_user_is_described_to_nixos(nixos: NixOs) -> None:
    users = nixos.system(settings({}))["users"]

    assert users["users"]["darlingbuilder"]["isSystemUser"]
    assert users["users"]["darlingbuilder"]["group"] == "darlingbuilder"
    assert "darlingbuilder" in users["groups"]


def test_the_alias_is_the_program_s_own_and_ends_before_what_others_say(nixos: NixOs) -> None:
    mine = '{ programs.ssh.extraConfig = "ForwardAgent no"; }'
    system = nixos.system(f"{{ imports = [ {settings(CHOSEN)} {mine} ]; }}")

    chosen = Settings(port=2345, user="other", key="/etc/ssh/darling-key", state="/srv/builder")
    assert system["ssh"].startswith(alias_text(chosen))
    assert system["ssh"].split("\n")[-3:] == ["Match all", "", "ForwardAgent no"]


def test_where_the_host_key_is_not_known_nix_is_led_to_the_line_that_the_service_writes(nixos: NixOs) -> None:
    system = nixos.system(settings({"prefixPath": "/srv/builder"}))

    assert system["buildMachines"] == []
    assert system["nix"]["builders"] == "@/etc/nix/machines;@/srv/builder/machines"
    assert system["nix"]["builders-use-substitutes"] is True


def test_where_the_host_key_is_known_the_machine_is_one_of_nixos_own(nixos: NixOs) -> None:
    system = nixos.system(settings({**CHOSEN, "publicHostKey": KEY}))

    assert "builders" not in system["nix"]
    assert system["buildMachines"] == [
        {
            "hostName": "darling-builder",
            "protocol": "ssh",
            "systems": ["x86_64-darwin"],
            "sshKey": "/etc/ssh/darling-key",
            "maxJobs": 8,
            "speedFactor": 3,
            "supportedFeatures": ["big-parallel", "kvm"],
            "mandatoryFeatures": ["kvm"],
            "publicHostKey": KEY,
        }
    ]


def test_builders_of_somebody_else_s_count_and_are_remarked_on(nixos: NixOs) -> None:
    def with_builders(value: str) -> dict[str, Any]:
        return nixos.system(f'{{ imports = [ {settings({})} {{ nix.settings.builders = "{value}"; }} ]; }}')

    assert ";@/var/lib/darling-builder/machines" in with_builders("ssh://mac")["warnings"][0]
    assert with_builders("ssh://mac;@/var/lib/darling-builder/machines")["warnings"] == []


def test_the_patterns_of_the_module_match_what_the_program_s_do(nixos: NixOs) -> None:
    samples = {
        "state": {"/a b/ü": True, "a": False, "/a\tb": False, "": False, "/x\x7f": False},
        "prefix": {"": True, "/a": True, "a": False},
        "min_free": {"10G": True, "10g": False, "1" * 16: False, "": False},
        "user": {"a-b_1": True, "1a": False, "a" * 32: False},
        "nix.package": {"": True, f"/nix/store/{'0' * 32}-a.b": True, "/nix/store/x": False},
        "nix.version": {"": True, "2.31": True, "2": False},
    }
    nixos.machine.path("/root/samples.json").write_text(json.dumps({key: list(one) for key, one in samples.items()}))

    fits = nixos.value(
        """
        let
          lib = import (checkout + /nix/tests/lib);
          program = import (checkout + /nix/module/program.nix) { inherit lib; };
          samples = lib.importJSON /root/samples.json;
        in builtins.mapAttrs (key: map program.settings.${key}.type.check) samples
        """
    )

    assert fits == {key: list(one.values()) for key, one in samples.items()}


def test_on_demand_the_socket_is_started_at_boot_and_the_builder_is_not(nixos: NixOs) -> None:
    system = nixos.system(settings({"settings.on_demand": True, "settings.idle_timeout": 20}))
    plain = nixos.system(settings({}))

    assert system["sockets"] == {"darling-builder": {"wantedBy": ["sockets.target"]}}
    assert system["units"]["darling-builder"]["wantedBy"] == []
    assert (plain["sockets"], plain["units"]["darling-builder"]["wantedBy"]) == ({}, ["multi-user.target"])
    [commands] = system["unit"]
    assert [f"config {one} " in commands for one in ("unit", "socket", "proxy")] == [True] * 3
    assert "/lib/systemd/systemd-socket-proxyd" in commands
    [only] = plain["unit"]
    assert "config socket" not in only
    ours = Settings(on_demand=True, idle_timeout=20)
    assert f"ConnectTimeout {connect_seconds(ours)}\n" in system["ssh"]
    assert f"ConnectTimeout {connect_seconds(Settings())}\n" in plain["ssh"]
