"""``make demo``: an empty machine becomes a builder, and the host's Nix builds a darwin derivation through it."""

import argparse
import sys
import time
from pathlib import Path

from integration.machine.guestnix import ReleaseTarball, release_tarball
from integration.suite.equipment import make_machine, read_release
from integration.suite.site import Site

# What a user would write in a file; no nixpkgs is needed, nor any network.
EXPRESSION = """
derivation {
  name = "hello-from-darwin";
  system = "x86_64-darwin";
  builder = "/bin/sh";
  args = [ "-c" ''
    /bin/mkdir $out
    { echo built on; /usr/bin/uname -s; /usr/bin/sw_vers; } > $out/message
    /bin/ln -s message $out/link
  '' ];
}
"""


def main() -> int:
    """Run the demonstration; the exit code is 0 if the build's output was read back."""
    arguments = _parser().parse_args()
    tarball = read_release(arguments.nix_tarball) if arguments.nix_tarball else release_tarball("trixie")
    began = time.monotonic()
    _say("a Debian machine with systemd, Nix and OpenSSH, and a Darling in it")
    with make_machine("trixie", darling=arguments.darling, nix_tarball=tarball.path) as machine:
        machine.boot()
        site = Site(machine, tarball).configure()
        _show(site, tarball)
    _say(f"done in {time.monotonic() - began:.1f} s; the machine is gone again")
    return 0


def _show(site: Site, tarball: ReleaseTarball) -> None:
    _say(f"settings: the guest gets Nix {tarball.version}")
    sys.stdout.write(site.file("/etc/darlingbuilder/config.toml").read_text())
    for words in (("doctor",), ("init",), ("status",), ("test",)):
        _run(site, "darlingbuilder", *words)
    site.file("/root/hello.nix").write_text(EXPRESSION)
    built = _run(site, "nix", "build", "--no-link", "--print-out-paths", "--file", "/root/hello.nix")
    _run(site, "cat", f"{built.strip()}/link")


def _run(site: Site, *words: str) -> str:
    _say(" ".join(words))
    completed = site.machine.run(*words, timeout=600, env={"NIX_REMOTE": "daemon"})
    sys.stdout.write(completed.stderr + completed.stdout)
    return completed.stdout


def _say(text: str) -> None:
    sys.stdout.write(f"\n# {text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--darling", type=Path, help="launcher of a real Darling; default: the stand-in")
    parser.add_argument(
        "--nix-tarball", type=Path, help="release tarball of an x86_64-darwin Nix, for a real Darling"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
