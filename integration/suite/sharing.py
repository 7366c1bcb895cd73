"""What the tests of a shared store do with it: paths made on the host, builds with them in the guest, both seen."""

import time

from integration.suite.site import STATE, UNIT, Site

ROOTS = "/nix/var/nix/gcroots/darling-builder"
PROGRAMS = "/nix/var/nix/profiles/default/bin"
NIX = f"{PROGRAMS}/nix-store"
# The shell ends last: Nix kills a builder that has closed its output, as coreutils do before they exit.
BUILD = """
  derivation {{ name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; preferLocalBuild = false;
    input = {input};
    args = [ "-c" "{before} /bin/mkdir $out; /bin/cat $input/text > $out/text; echo $input >> $out/text; exit $?" ];
  }}
"""


def open_daemon(site: Site) -> None:
    """Let everybody talk to the host's Nix, as everywhere but on Debian, which closes its socket at every boot."""
    site.file("/etc/tmpfiles.d/zz-nix-daemon.conf").write_text("z /nix/var/nix/daemon-socket 0755 root root\n")
    site.machine.run("chmod", "0755", "/nix/var/nix/daemon-socket")


def make(site: Site, name: str, text: str, *references: str) -> str:
    """Make a path valid on the host alone."""
    words = " ".join([text, *references])
    expression = (
        f'derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh"; '
        f"refs = [ {' '.join(f'(builtins.storePath {path})' for path in references)} ]; "
        f'args = [ "-c" "/bin/mkdir $out; echo {words} > $out/text; exit $?" ]; }}'
    )
    return site.machine.run("nix-build", "--no-out-link", "--expr", expression).stdout.strip()


def expression_of(name: str, value: str, *, before: str = "") -> str:
    """Give a derivation for the guest with an input."""
    return BUILD.format(name=name, input=value, before=before)


def build(site: Site, name: str, path: str, *, before: str = "") -> tuple[str, str]:
    """Build in the guest with a path of the host's as input; gives the output and what Nix told."""
    done = site.build(expression_of(name, f"builtins.storePath {path}", before=before))
    return done.stdout.strip(), done.stderr


def guest(site: Site, *words: str, program: str = "nix-store") -> str:
    command = ["/usr/bin/env", "NIX_CONF_DIR=/private/etc/nix", f"{PROGRAMS}/{program}", *words]
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


def users_of_container(site: Site, program: str) -> set[str]:
    """Give the users of all processes that share the pid namespace of ``program``, which runs in the container."""
    script = (
        f'own=$(readlink /proc/$(pgrep --newest --exact {program})/ns/pid); test -n "$own"; '
        'for pid in /proc/[0-9]*; do test "$(readlink $pid/ns/pid)" = "$own" && stat --format=%U $pid; done; true'
    )
    return set(site.machine.run("sh", "-c", script).stdout.split())
