"""The two ways to say the builder's port to Nix: ssh's alias, which every Nix takes, and the URI, from 2.31 on.

Our own registration writes the alias: Debian 12 and 13 have an older Nix, Lix wants ``?port=`` instead, and what else
the alias says (time limits, the key's name, no agent) a URI cannot. The URI is for who cannot have the alias.
"""

import base64

import pytest

from integration.suite.site import STATE, USER, Site

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")

KEY = "/etc/nix/darling-builder-key"
BUILD = """
  derivation {{
    name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ];
  }}
"""
SSH_CONFIG = "/etc/ssh/ssh_config"
OFFERED = f"{STATE}/machines"


@pytest.fixture(scope="module")
def without_alias(site: Site) -> Site:
    """A builder on a machine whose ssh_config includes nothing, and is to stay so."""
    site.file(SSH_CONFIG).write_text("Host *\n    SendEnv LANG\n")
    refused = site.tool("init", check=False)
    assert (refused.rc, "lacks «Include" in refused.stderr) == (5, True)
    assert "registration.md" in refused.stderr
    site.set(register=False).tool("init")
    return site


def version(site: Site) -> tuple[int, ...]:
    return tuple(int(part) for part in site.machine.run("nix", "--version").stdout.split()[-1].split("."))


def test_the_builder_works_and_its_test_passes_without_an_alias(without_alias: Site) -> None:
    without_alias.assert_healthy()
    assert not without_alias.file("/etc/ssh/ssh_config.d/darling-builder.conf").exists()


def test_a_port_in_the_uri_is_built_with_from_2_31_on(without_alias: Site) -> None:
    # given: the line that init has left, pinned key and all, with another URI; as docs/registration.md has it
    run = without_alias.machine.run
    edit = f"s,//darling-builder ,//{USER}@127.0.0.1:2222 ,"
    run("sh", "-c", f"sed '{edit}' {OFFERED} > /etc/nix/machines")
    line = without_alias.file("/etc/nix/machines").read_text().splitlines()[-1]
    assert line.startswith(f"ssh-ng://{USER}@127.0.0.1:2222 x86_64-darwin {KEY} ")
    assert base64.b64decode(line.split()[7]).startswith(b"ssh-ed25519 ")
    # when
    built = without_alias.build(BUILD.format(name="by-uri"), check=False)
    # then
    if version(without_alias) < (2, 31):
        assert built.rc != 0
        assert f"cannot build on 'ssh-ng://{USER}@127.0.0.1:2222'" in built.stderr
    else:
        assert built.rc == 0, built.stderr
        assert run("cat", built.stdout.strip()).stdout == "built\n"


def test_the_alias_is_built_with_by_either(without_alias: Site) -> None:
    without_alias.machine.run("rm", "/etc/nix/machines")
    without_alias.file(SSH_CONFIG).write_text("Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG\n")
    without_alias.set(register=True).tool("init")

    built = without_alias.build(BUILD.format(name="by-alias"))

    assert without_alias.machine.run("cat", built.stdout.strip()).stdout == "built\n"
