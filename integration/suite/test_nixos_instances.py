"""The NixOS module with several builders: each has what is its own, and what two would share is refused."""

import json
from typing import Any

import pytest

from darlingbuilder.core import config
from darlingbuilder.core.apart import check_apart
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.registration import alias_text
from integration.suite.nixos import NixOs, file_of, settings, told_by

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)

NAME = "second"
ONE = f"services.darling-builder.instances.{NAME}"
KEY = "c3NoLWVkMjU1MTkgQUFBQQo="
# What a system has of each builder, and what of all of them together.
OF_EACH = ("toml", "units", "sockets", "timers", "wrappers")


def beside(first: dict[str, Any] | None = None, **instances: dict[str, Any]) -> str:
    """Give a configuration with the first builder and, beside it, ``instances``."""
    return settings({**(first or {}), "instances": instances})


def alone(**second: object) -> str:
    """Give a configuration with a builder with a name, and no other."""
    return settings({"enable": False, "instances": {NAME: second}})


def test_the_first_builder_is_the_same_with_another_beside_it(nixos: NixOs) -> None:
    before, after = nixos.system(settings({})), nixos.system(beside(second={}))

    for part in OF_EACH:
        assert {name: after[part][name] for name in before[part]} == before[part]
    assert after["unit"][0] == before["unit"][0]
    assert after["users"]["users"]["darlingbuilder"] == before["users"]["users"]["darlingbuilder"]
    assert after["ssh"].startswith(before["ssh"].removesuffix("Match all\n"))
    assert after["programs"] == before["programs"]
    assert (after["refused"], after["warnings"]) == ([], [])


def test_one_with_a_name_has_every_option_that_the_first_one_has(nixos: NixOs) -> None:
    values = nixos.system(beside(second={}))["values"]

    assert values["instances"][NAME].keys() == values.keys() - {"instances"}
    assert values["instances"][NAME]["settings"].keys() == values["settings"].keys()


def test_what_nobody_says_is_what_the_program_takes_for_that_name(nixos: NixOs) -> None:
    system = nixos.system(beside({"package": None}, **{NAME: {}, "x1234567890-9": {}}))

    for name in (NAME, "x1234567890-9"):
        told = told_by(nixos, file_of(system, name), name)
        assert told == {
            **config.defaults(name),
            "register": False,
            "install_unit": False,
            "store": "overlay",
        }


def test_the_ports_follow_from_the_name_as_the_program_has_it(nixos: NixOs) -> None:
    names = ["a", "second", "b2", "ci-linux", "a123456789012", "zzzzzzzzzzzzz", "x-1-y-2-z"]
    nixos.machine.path("/root/names.json").write_text(json.dumps(names))

    found = nixos.value(
        """
        let
          lib = import (checkout + /nix/tests/lib);
          program = import (checkout + /nix/module/program.nix) { inherit lib; };
        in map (name: { inherit (program.defaultsOf name) port private_port key state user; })
          (lib.importJSON /root/names.json)
        """
    )

    assert found == [dict(Instance(name).defaults) for name in names]


def test_it_has_units_a_user_an_alias_and_a_machines_file_of_its_own(nixos: NixOs) -> None:
    system = nixos.system(beside(second={"port": 2345, "settings.protocol": "ssh"}))

    assert system["units"].keys() == {"darling-builder", "darling-builder@second"}
    assert system["units"]["darling-builder@second"]["wantedBy"] == ["multi-user.target"]
    assert "--instance second config unit --config" in system["unit"][1]
    assert system["unit"][1].strip().endswith("/lib/systemd/system/darling-builder@second.service")
    assert system["users"]["users"]["darlingbuilder-second"]["group"] == "darlingbuilder-second"
    chosen = config.inflate({**config.defaults(NAME), "port": 2345})
    assert system["ssh"] == f"{alias_text(Settings())}\n{alias_text(chosen)}\nMatch all\n"
    assert system["nix"]["builders"] == (
        "@/etc/nix/machines;@/var/lib/darling-builder/machines;@/var/lib/darling-builder-second/machines"
    )


def test_it_is_there_without_the_first_one_and_gone_when_switched_off(nixos: NixOs) -> None:
    system = nixos.system(alone(maxJobs=2))
    off = nixos.system(alone(enable=False))

    assert system["units"].keys() == {"darling-builder@second"}
    assert system["toml"].keys() == {f"darlingbuilder/instances/{NAME}.toml"}
    assert system["nix"]["builders"] == "@/etc/nix/machines;@/var/lib/darling-builder-second/machines"
    assert [part for part in OF_EACH if off[part]] == []
    assert off["ssh"] == ""


def test_one_whose_host_key_is_known_is_a_machine_of_nixos_and_the_other_is_led_to(nixos: NixOs) -> None:
    system = nixos.system(beside(second={"publicHostKey": KEY, "maxJobs": 2}))

    [machine] = system["buildMachines"]
    assert (machine["hostName"], machine["sshKey"], machine["maxJobs"], machine["publicHostKey"]) == (
        "darling-builder-second",
        "/etc/nix/darling-builder-second-key",
        2,
        KEY,
    )
    assert system["nix"]["builders"] == "@/etc/nix/machines;@/var/lib/darling-builder/machines"


def test_builders_of_somebody_else_s_have_to_lead_to_each(nixos: NixOs) -> None:
    value = "ssh://mac;@/var/lib/darling-builder/machines"
    system = nixos.system(f'{{ imports = [ {beside(second={})} {{ nix.settings.builders = "{value}"; }} ]; }}')

    [warning] = system["warnings"]
    assert ";@/var/lib/darling-builder-second/machines" in warning
    assert f"{ONE}.publicHostKey" in warning


def test_it_runs_the_first_one_s_darling_unless_it_has_its_own(nixos: NixOs) -> None:
    darling = '{ type = "derivation"; name = "darling"; outPath = "/nix/store/other-darling"; }'
    own = f"{{ services.darling-builder.instances.{NAME}.package = {darling}; }}"
    shared, apart = nixos.system(beside(second={})), nixos.system(f"{{ imports = [ {beside()} {own} ]; }}")
    said = nixos.system(beside({"settings.darling": "/opt/darling"}, second={}))

    assert shared["wrappers"].keys() == {"darling"}
    assert file_of(shared, NAME)["darling"] == "/run/wrappers/bin/darling"
    assert apart["wrappers"]["darling-second"]["source"] == "/nix/store/other-darling/bin/darling"
    assert file_of(apart, NAME)["darling"] == "/run/wrappers/bin/darling-second"
    assert file_of(apart)["darling"] == "/run/wrappers/bin/darling"
    assert file_of(said, NAME)["darling"] == "/opt/darling"


@pytest.mark.parametrize("packages", ["{ withDarling = false; }", "{ brokenDarling = true; }"])
def test_a_darling_of_its_own_has_its_wrapper_where_the_first_one_has_no_darling(nixos: NixOs, packages: str) -> None:
    darling = '{ type = "derivation"; name = "darling"; outPath = "/nix/store/other-darling"; }'
    module = f"{{ services.darling-builder.instances.{NAME}.package = {darling}; }}"

    system = nixos.system(module, packages=packages)

    assert system["wrappers"].keys() == {"darling-second"}
    assert file_of(system, NAME)["darling"] == "/run/wrappers/bin/darling-second"
    assert (system["refused"], system["warnings"]) == ([], [])


def test_without_a_darling_of_its_own_beside_a_first_one_with_its_the_launcher_is_looked_for(nixos: NixOs) -> None:
    system = nixos.system(beside(second={"package": None}))

    assert system["wrappers"].keys() == {"darling"}
    assert "darling" not in file_of(system, NAME)


def test_on_demand_there_is_a_socket_and_what_leads_the_first_connection_to_it(nixos: NixOs) -> None:
    for module, at in ((settings({"onDemand": True}), ""), (alone(onDemand=True), "@second")):
        system = nixos.system(module)

        assert file_of(system, at.removeprefix("@") or "default")["on_demand"] is True
        assert system["units"][f"darling-builder{at}"]["wantedBy"] == []
        assert system["sockets"] == {f"darling-builder{at}": {"wantedBy": ["sockets.target"]}}
        first = system["units"][f"darling-builder-init{at}"]
        assert (first["wantedBy"], first["before"]) == (["multi-user.target"], [f"darling-builder{at}.service"])
        for unit in (f"darling-builder{at}.socket", f"darling-builder-proxy{at}.service"):
            assert f"/lib/systemd/system/{unit}\n" in system["unit"][0]
    assert "on_demand" not in file_of(nixos.system(settings({})))
    assert "settings.on_demand" in nixos.error(settings({"onDemand": False, "settings.on_demand": True}))


def test_metrics_that_are_asked_for_have_their_timer(nixos: NixOs) -> None:
    system = nixos.system(beside(second={"settings.metrics_textfile": "/srv/second.prom"}))

    assert system["timers"] == {"darling-builder-metrics@second": {"wantedBy": ["timers.target"]}}
    for unit in ("darling-builder-metrics@second.service", "darling-builder-metrics@second.timer"):
        assert f"/lib/systemd/system/{unit}\n" in system["unit"][1]
    assert "metrics" not in system["unit"][0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("enable", "yes"),
        ("port", 22),
        ("onDemand", "yes"),
        ("limits.minFree", "1 GB"),
        ("nix.package", "/usr/bin/nix"),
        ("settings.protocol", "http"),
        ("settings.nix.sha256", "abc"),
        ("settings.instance", "third"),
    ],
)
def test_a_wrong_type_is_refused_by_the_option_s_full_name(nixos: NixOs, option: str, value: object) -> None:
    said = nixos.error(beside(second={option: value}))

    assert f"{ONE}.{option}" in said
    assert "is not of type" in said


def test_the_first_one_has_no_other_name(nixos: NixOs) -> None:
    assert "services.darling-builder.settings.instance" in nixos.error(settings({"settings.instance": NAME}))
    assert f"{ONE}.prot' does not exist" in nixos.error(beside(second={"prot": 1}))


@pytest.mark.parametrize("name", ["Second", "default", "a-", "1st", "out-of-service", "a_b"])
def test_a_name_that_the_program_does_not_take_is_refused(nixos: NixOs, name: str) -> None:
    for first in ({}, {"enable": False}):
        [message] = nixos.system(beside(first, **{f'"{name}"': {}}))["refused"]

        assert f'instances: "{name}" is no name' in message
        assert "Choose" in message


@pytest.mark.parametrize(
    ("second", "option", "with_"),
    [
        ({"port": 2222}, f"{ONE}.port", "services.darling-builder.port"),
        (
            {"onDemand": True, "settings.private_port": 2222},
            f"{ONE}.settings.private_port",
            "services.darling-builder.port",
        ),
        ({"settings.user": "darlingbuilder"}, f"{ONE}.settings.user", "services.darling-builder.settings.user"),
        (
            {"prefixPath": "/var/lib/darling-builder/x"},
            f"{ONE}.prefixPath",
            "services.darling-builder.prefixPath",
        ),
        (
            {"settings.prefix": "/var/lib/darling-builder/x/prefix"},
            f"{ONE}.settings.prefix",
            "services.darling-builder.prefixPath",
        ),
        (
            {"sshKeyPath": "/etc/nix/darling-builder-key"},
            f"{ONE}.sshKeyPath",
            "services.darling-builder.sshKeyPath",
        ),
        (
            {"sshKeyPath": "/var/lib/darling-builder/key"},
            f"{ONE}.sshKeyPath",
            "services.darling-builder.prefixPath",
        ),
        (
            {"settings.metrics_textfile": "/srv/a.prom"},
            f"{ONE}.settings.metrics_textfile",
            "services.darling-builder.settings.metrics_textfile",
        ),
    ],
    ids=["port", "private-port", "user", "state", "prefix", "key", "key-in-state", "metrics"],
)
def test_what_two_would_share_is_refused_with_both_options_and_a_remedy(
    nixos: NixOs, second: dict[str, Any], option: str, with_: str
) -> None:
    system = nixos.system(beside({"settings.metrics_textfile": "/srv/a.prom"}, second=second))

    [message] = system["refused"]
    # The program would refuse it as well, when it is too late.
    first, other = (config.inflate(told_by(nixos, file_of(system, name), name)) for name in ("default", NAME))
    with pytest.raises(ConfigError):
        check_apart(other, first)
    assert message.startswith(f"{option} is ")
    assert f", and {with_} is " in message
    assert message.rstrip().endswith(".")
    assert len(message.strip().splitlines()) == 2


def test_two_with_names_are_kept_apart_as_well_and_one_that_is_off_is_in_nobody_s_way(nixos: NixOs) -> None:
    same = {"port": 3000}
    [message] = nixos.system(beside(a=same, b=same))["refused"]

    assert message.startswith("services.darling-builder.instances.b.port is 3000")
    assert nixos.system(beside(a=same, b={**same, "enable": False}))["refused"] == []
    assert nixos.system(settings({"enable": False, "instances": {"a": {"port": 2222}}}))["refused"] == []
