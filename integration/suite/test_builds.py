"""Builds from nix-daemon, through both protocols, from both versions of the host's Nix."""

import json

import pytest

from integration.suite.site import Site

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")

# No nixpkgs, no PATH: the guest's shell and its builtins, absolute names for the rest. The shell ends last: Nix
# kills a builder that has closed its output, as coreutils do before they exit.
ONE = """
  name: derivation {{
    inherit name; system = "x86_64-darwin"; builder = "/bin/sh"; preferLocalBuild = false;
    args = [ "-c" "/bin/mkdir $out && echo ${{name}} {nonce} > $out/file && /bin/ln -s file $out/link; exit $?" ];
  }}
"""

FAILING = """
  derivation { name = "no"; system = "x86_64-darwin"; builder = "/bin/sh"; args = [ "-c" "echo alas; exit 3" ]; }
"""


def names(count: int) -> list[str]:
    return [f"part-{number}" for number in range(count)]


@pytest.mark.parametrize("protocol", ["ssh-ng", "ssh"])
def test_eight_derivations_are_built_four_at_once(site: Site, protocol: str) -> None:
    site.configure(protocol=protocol, max_jobs=4)
    site.tool("init")
    listed = " ".join(f'"{name}"' for name in names(8))

    built = site.build(f"map ({ONE.format(nonce=protocol)}) [ {listed} ]")

    paths = built.stdout.split()
    assert len(paths) == 8
    for name, path in zip(names(8), paths, strict=True):
        assert site.machine.run("cat", f"{path}/link").stdout == f"{name} {protocol}\n"
        assert site.machine.run("readlink", f"{path}/link").stdout == "file\n"


def test_a_failing_build_fails_with_its_own_message(site: Site) -> None:
    completed = site.build(FAILING, check=False)
    assert completed.rc != 0
    assert "alas" in completed.stderr


def test_an_input_of_the_host_reaches_the_build(site: Site) -> None:
    expression = """
      derivation { name = "copy"; system = "x86_64-darwin"; builder = "/bin/sh";
        args = [ "-c" "/bin/cat ${builtins.toFile "input" "from the host"} > $out; exit $?" ]; }
    """
    path = site.build(expression).stdout.strip()
    assert site.machine.run("cat", path).stdout == "from the host"


def test_the_self_test_passes_and_says_so_as_json(site: Site) -> None:
    answer = json.loads(site.tool("test", "--json").stdout)
    assert answer["passed"]
    assert [layer["layer"] for layer in answer["layers"]][-1] == "build"
    assert {layer["state"] for layer in answer["layers"]} == {"passed"}
