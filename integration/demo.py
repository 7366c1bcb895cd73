"""``make demo``: an empty machine becomes a builder, and the host's Nix builds a darwin derivation through it."""

import sys
import time

from integration.suite.equipment import Equipment
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
    exit 0
  '' ];
}
"""


def main() -> int:
    """Run the demonstration; the exit code is 0 if the build's output was read back."""
    equipment = Equipment.from_command_line(__doc__)
    began = time.monotonic()
    _say("a Debian machine with systemd, Nix and OpenSSH, and a Darling in it")
    with equipment.machine("trixie") as machine:
        machine.boot()
        site = equipment.site(machine)
        _show(site)
    _say(f"done in {time.monotonic() - began:.1f} s; the machine is gone again")
    return 0


def _show(site: Site) -> None:
    _say(f"settings: the guest gets Nix {site.tarball.version}")
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


if __name__ == "__main__":
    sys.exit(main())
