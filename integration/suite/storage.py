"""What the tests of the store fill it with, and what a machine needs for a file system in a file."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

from integration.machine import commands
from integration.machine.commands import Completed
from integration.machine.machine import Machine
from integration.suite.site import PREFIX, Site

PLANTED = f"{PREFIX}/private/planted"
_NIX_BUILD = "/nix/var/nix/profiles/default/bin/nix-build"

_PROGRAMS = ("mkfs.ext4", "e2fsck", "resize2fs")
_LIBRARIES = Path("/usr/local/lib")
# The devices are the kernel's, which all machines share: each takes the first that is free.
_DEVICES = 32


def built_in_guest(site: Site, name: str, *, script: str = "echo built > $out", check: bool = True) -> Completed:
    """Have the guest's own Nix build something that the host does not hear of."""
    expression = (
        f'derivation {{ name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'args = [ "-c" "{script}; echo {name} > /private/planted; exit 0" ]; }}'
    )
    return site.tool("shell", _NIX_BUILD, "--no-out-link", "--expr", expression, check=check)


def path_of(completed: Completed) -> str:
    return completed.stdout.split()[-1]


def tree_on_host(site: Site, name: str, *, files: int, kilobytes: int) -> str:
    """Put a path with ``files`` random files into the host's store."""
    script = (
        f"rm -rf /root/{name}; mkdir /root/{name}; cd /root/{name}; "
        f"for i in $(seq {files}); do head -c {kilobytes * 1024} /dev/urandom > f$i; done; "
        f"nix-store --add /root/{name}"
    )
    return site.machine.run("sh", "-c", script).stdout.strip()


def answer(completed: Completed) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(completed.stdout)
    return decoded


def interrupted(site: Site, *words: str, seconds: float) -> int:
    """Run darlingbuilder, and kill it as a crash would after so many seconds; give its exit status."""
    return site.machine.run(
        "timeout", "--signal=KILL", str(seconds), "darlingbuilder", *words, check=False, timeout=180
    ).rc


def heal(site: Site, *words: str) -> None:
    """Run darlingbuilder after somebody was killed; what that had begun, a start say, may go on first."""
    deadline = time.monotonic() + 60
    while (completed := site.tool(*words, check=False)).rc != 0 and "is at work" in completed.stderr:
        assert time.monotonic() < deadline, completed.stderr
        time.sleep(0.3)
    assert completed.rc == 0, completed.stderr


def give_loop_devices(machine: Machine) -> None:
    """Make the nodes of some loop devices, those that are not there. They are lost at a reboot, as all of /dev."""
    nodes = ["/dev/loop-control c 10 237", *(f"/dev/loop{number} b 7 {number}" for number in range(_DEVICES))]
    made = (f"test -e {node.split()[0]} || mknod -m 0660 {node}" for node in nodes)
    machine.run("sh", "-ec", "\n".join(made))


def give_e2fsprogs(machine: Machine) -> None:
    """Bring this host's e2fsprogs along, with those libraries of theirs that the machine lacks."""
    for name in _PROGRAMS:
        program = Path(shutil.which(name, path="/usr/sbin:/sbin") or f"/usr/sbin/{name}")
        _copy(program.resolve(), machine.path(f"/usr/local/sbin/{name}"))
        linked = commands.run(("ldd", str(program))).stdout
        for library in map(Path, re.findall(r"=> (/\S+)", linked)):
            if not any(machine.path(f"{place}/{library.name}").exists() for place in ("/usr/lib/x86_64-linux-gnu",)):
                _copy(library.resolve(), machine.path(str(_LIBRARIES / library.name)))
    machine.run("ldconfig")


def _copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    target.chmod(0o755)
