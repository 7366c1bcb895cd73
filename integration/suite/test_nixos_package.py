"""The package for Nix, as far as it can be evaluated without nixpkgs."""

import re

import pytest

from darlingbuilder import __version__
from darlingbuilder.commands import manual
from integration.packaging.wheelhouse import dependencies
from integration.suite.nixos import NixOs

# The names of Python's packages are nixpkgs' own.
NEEDED = {re.split("[<>=]", one)[0] for one in dependencies()}
CHECKED_WITH = ("hatchling", "hypothesis", "jsonschema", "lief", "pytestCheckHook")

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)


def test_the_package_is_an_expression_with_its_version_its_zig_and_its_tools(nixos: NixOs) -> None:
    names = " ".join(f'"{name}"' for name in (*NEEDED, *CHECKED_WITH))
    package = nixos.value(
        """
        let
          lib = import (checkout + /nix/tests/lib);
          named = name: { type = "derivation"; inherit name; outPath = "/s/${name}"; meta.mainProgram = name; };
          python3Packages = builtins.listToAttrs (map (name: { inherit name; value = named name; }) [
            PACKAGES
          ]) // { buildPythonApplication = attributes: removeAttrs attributes [ "src" ]; };
        in import (checkout + /nix/package.nix) {
          inherit lib python3Packages;
          openssh = named "openssh"; installShellFiles = named "installShellFiles"; zig = named "zig";
          shadow = named "shadow"; systemd = named "systemd"; e2fsprogs = named "e2fsprogs";
          gnutar = named "gnutar"; util-linux = named "util-linux"; zstd = named "zstd";
        }
        """.replace("PACKAGES", names)
    )

    assert package["version"] == __version__
    assert package["env"]["DARLINGBUILDER_ZIG"] == "/s/zig/bin/zig"
    for page in manual.PAGES:
        assert f"darlingbuilder man {page}" in package["postInstall"].replace("man >", "man darlingbuilder >")
    assert "installShellCompletion darlingbuilder.{bash,zsh,fish}" in package["postInstall"]
    [wrapped] = package["makeWrapperArgs"]
    assert re.findall("/s/([^/]+)/bin", wrapped) == [
        "openssh", "shadow", "systemd", "e2fsprogs", "gnutar", "util-linux", "zstd"
    ]  # fmt: skip
    assert {one.removeprefix("/s/") for one in package["dependencies"]} == NEEDED


def test_overlay_and_default_nix_lead_to_the_package(nixos: NixOs) -> None:
    built = nixos.value(
        '((import (checkout + /nix/overlay.nix)) { callPackage = path: _: "${toString path}"; } { }).darlingbuilder'
    )
    assert built.endswith("/nix/package.nix")
