"""What the host makes and the guest sees of it: paths of one and builds of the other, and that both are whole."""

import time

from integration.suite.site import STATE, UNIT, Site

ROOTS = "/nix/var/nix/gcroots/darling-builder"
NIX = "/nix/var/nix/profiles/default/bin/nix-store"

# The shell ends last: Nix kills a builder that has closed its output, as coreutils do before they exit.
BUILD = """
  derivation {{ name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; preferLocalBuild = false;
    input = {input};
    args = [ "-c" "{before} /bin/cat $input/text > $out; echo $input >> $out; exit $?" ]; }}
"""


def make(site: Site, name: str, text: str, *references: str) -> str:
    """Make a path valid on the host alone."""
    words = " ".join([text, *references])
    expression = (
        f'derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh"; '
        f"refs = [ {' '.join(f'(builtins.storePath {path})' for path in references)} ]; "
        f'args = [ "-c" "/bin/mkdir $out; echo {words} > $out/text; exit $?" ]; }}'
    )
    return site.machine.run("nix-build", "--no-out-link", "--expr", expression).stdout.strip()


def build(site: Site, name: str, path: str, *, before: str = "") -> tuple[str, str]:
    """Build in the guest with a path of the host's as input; gives the output and what Nix told."""
    expression = BUILD.format(name=name, input=f"builtins.storePath {path}", before=before)
    done = site.build(expression)
    return done.stdout.strip(), done.stderr


def guest(site: Site, *words: str) -> str:
    command = ["/usr/bin/env", "NIX_CONF_DIR=/private/etc/nix", NIX, *words]
    done = site.tool("shell", *command, check=False)
    assert done.rc == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_clean(site: Site) -> None:
    """See that every path on either side holds what is registered."""
    time.sleep(1)  # what was deleted on the host a moment ago is noticed
    told = guest(site, "--verify", "--check-contents")
    assert "disappeared" not in told, told
    assert "modified" not in told, told
    site.machine.run("nix-store", "--verify", "--check-contents")


def assert_verified(site: Site, *paths: str) -> None:
    site.machine.run("nix", "store", "verify", "--no-trust", *paths)


def until(site: Site, command: str, *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while site.machine.run("sh", "-c", command, check=False).rc != 0:
        assert time.monotonic() < deadline, f"{command}\n{site.machine.journal(UNIT)}"
        time.sleep(0.1)


def own(site: Site) -> set[str]:
    return {path.name for path in site.file(f"{STATE}/nix/store").iterdir()}
