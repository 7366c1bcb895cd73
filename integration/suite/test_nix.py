"""Where the guest's Nix comes from, and what happens to one that does not answer."""

from pathlib import Path

from darlingbuilder import __version__
from integration.machine.guestnix import ReleaseTarball, load_into_host_store
from integration.suite.site import STATE, UNIT, Site, told

# Both tools that the tool looks for, and neither does anything: as a Nix that dies of an illegal instruction.
DEAD = "#!/bin/sh\nkill -ILL $$\n"


def test_a_store_path_of_the_host_is_taken_over(site: Site, newer: ReleaseTarball) -> None:
    load_into_host_store(site.machine, newer)
    site.settings.clear()
    site.set(nix__package=newer.nix)

    site.tool("init")

    site.assert_healthy()
    answered = site.tool("shell", "/nix/var/nix/profiles/default/bin/nix-store", "--version").stdout
    assert newer.version in answered
    owners = site.machine.run("sh", "-c", f"stat --format=%U {STATE}/nix/store/* | sort -u").stdout.split()
    assert owners == ["darlingbuilder"]


def test_a_new_nix_that_does_not_answer_is_not_kept(site: Site, newer: ReleaseTarball) -> None:
    site.machine.run("mkdir", "-p", "/root/nix-9.9/bin")
    for name in ("nix-daemon", "nix-store"):
        site.file(f"/root/nix-9.9/bin/{name}").write_text(DEAD)
        site.machine.run("chmod", "0755", f"/root/nix-9.9/bin/{name}")
    dead = site.machine.run("nix-store", "--add", "/root/nix-9.9").stdout.strip()
    site.set(nix__package=dead)

    site.tool("init", check=False)

    assert "the new Nix does not answer" in site.machine.journal(UNIT)
    code, answer = site.status()
    assert code == 3
    assert "which did not answer" in told(answer)
    answered = site.tool("shell", "/nix/var/nix/profiles/default/bin/nix-store", "--version").stdout
    assert newer.version in answered
    assert site.tool("test").rc == 0

    site.set(nix__package=newer.nix)
    site.tool("init")
    site.assert_healthy()


def test_a_converged_init_needs_neither_tarball_nor_network(site: Site) -> None:
    assert "nothing was changed" in site.tool("init").stdout


def test_the_package_for_nix_is_an_expression_that_names_its_version(site: Site) -> None:
    site.machine.run("mkdir", "-p", "/root/src/nix", "/root/src/darlingbuilder")
    here = Path(__file__).parents[2]
    for name in ("nix/package.nix", "darlingbuilder/__init__.py"):
        site.file(f"/root/src/{name}").write_text((here / name).read_text())
    # As much of nixpkgs as the expression touches before anything is built.
    expression = """
      let
        lib = {
          last = list: builtins.elemAt list (builtins.length list - 1);
          splitString = mark: text: builtins.filter builtins.isString (builtins.split mark text);
          removeSuffix = end: text:
            builtins.substring 0 (builtins.stringLength text - builtins.stringLength end) text;
        };
        python3Packages.buildPythonApplication = attributes: attributes.version;
      in import /root/src/nix/package.nix
        { inherit lib python3Packages; openssh = null; installShellFiles = null; zig = null; }
    """
    version = site.machine.run("nix-instantiate", "--eval", "--expr", expression).stdout.strip()
    assert version == f'"{__version__}"'
