"""What the NixOS module refuses: by the option's name, or with a remedy."""

import pytest

from integration.suite.nixos import NixOs, file_of, settings

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)
KEY = "c3NoLWVkMjU1MTkgQUFBQQo="


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("enable", "yes"),
        ("package", 1),
        ("port", "2222"),
        ("port", 22),
        ("port", 65536),
        ("maxJobs", 0),
        ("maxJobs", "many"),
        ("speedFactor", 0),
        ("shareStore", "overlay"),
        ("sshKeyPath", "relative"),
        ("prefixPath", "relative/path"),
        ("prefixPath", "/with\nnewline"),
        ("supportedFeatures", "kvm"),
        ("mandatoryFeatures", [1]),
        ("installNix", 1),
        ("nixVersion", "latest"),
        ("publicHostKey", "ssh-ed25519 AAAA"),
        ("limits.minFree", "1 GB"),
        ("limits.cores", -1),
        ("limits.openFiles", 1),
        ("nix.package", "/usr/bin/nix"),
        ("settings", ["port"]),
        ("settings.protocol", "http"),
        ("settings.compat", True),
        ("settings.nix.sha256", "abc"),
        ("settings.user", "Root"),
        ("settings.grace", "5"),
    ],
)
def test_a_wrong_type_is_refused_by_the_option_s_name(nixos: NixOs, option: str, value: object) -> None:
    said = nixos.error(settings({option: value}))

    assert f"services.darling-builder.{option}" in said
    assert "is not of type" in said


def test_an_option_that_there_is_not_is_refused(nixos: NixOs) -> None:
    assert "services.darling-builder.prot' does not exist" in nixos.error(settings({"prot": 2222}))


def test_an_option_and_its_setting_cannot_contradict_each_other(nixos: NixOs) -> None:
    assert file_of(nixos.system(settings({"settings.port": 3333})))["port"] == 3333
    assert "services.darling-builder.settings.port" in nixos.error(settings({"settings.port": 3333, "port": 4444}))


def test_what_nixos_does_itself_cannot_be_asked_of_the_program(nixos: NixOs) -> None:
    for key in ("register", "install_unit"):
        assert f"services.darling-builder.settings.{key}" in nixos.error(settings({f"settings.{key}": True}))


@pytest.mark.parametrize(
    ("module", "packages", "words"),
    [
        (settings({"installNix": True, "nixVersion": "2.24.12"}), "{ }", ["nixVersion", "2.24.12", "2.31.2"]),
        (
            settings({"installNix": True, "nix.package": f"/nix/store/{'0' * 32}-nix"}),
            "{ }",
            ["installNix", "nix.package", "Keep one"],
        ),
        (settings({"publicHostKey": KEY, "maxJobs": "auto"}), "{ }", ["maxJobs", "publicHostKey", "number"]),
        (settings({}), '{ system = "aarch64-linux"; }', ["aarch64-linux", "x86_64-linux"]),
        (f"{{ imports = [ {settings({})} {{ nix.enable = false; }} ]; }}", "{ }", ["nix.enable = true"]),
        (
            f'{{ imports = [ {settings({})} {{ nix.settings.extra-platforms = [ "x86_64-darwin" ]; }} ]; }}',
            "{ }",
            ["extra-platforms", "Remove it"],
        ),
    ],
    ids=["version", "two-nixes", "auto", "processor", "no-nix", "own-platform"],
)
def test_what_cannot_work_is_refused_with_a_remedy(
    nixos: NixOs, module: str, packages: str, words: list[str]
) -> None:
    [message] = nixos.system(module, packages=packages)["refused"]

    assert [word for word in words if word not in message] == []
