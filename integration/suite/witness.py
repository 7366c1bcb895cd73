"""What can be seen of a store and of mounts from outside, without asking anybody who could be wrong."""

import hashlib
from pathlib import Path

from integration.suite.site import PREFIX, Site

OVERLAY = " - overlay darlingbuilder "
_OWN = 4  # the mount point's place in a line of mountinfo


def fingerprint(path: Path) -> str:
    """Hash names, modes, owners, times and contents of all that lies at ``path``, no link followed."""
    found = hashlib.sha256()
    for one in [path, *sorted(path.rglob("*"))]:
        at = one.lstat()
        found.update(f"{one.relative_to(path)}\0{at.st_mode}\0{at.st_uid}\0{at.st_mtime_ns}\0".encode())
        if one.is_symlink():
            found.update(bytes(one.readlink()))
        elif one.is_file():
            found.update(one.read_bytes())
    return found.hexdigest()


def overlays(site: Site) -> list[str]:
    """Give the mount points of our overlays in every namespace of the machine, each once a namespace.

    As the guest sees them: a process that has changed its root tells them so.
    """
    script = (
        'for pid in /proc/[0-9]*; do echo "$(readlink $pid/ns/mnt) $pid"; done | sort -u -k1,1 | '
        f"while read -r _ pid; do grep -e '{OVERLAY}' $pid/mountinfo; done 2>/dev/null"
    )
    lines = site.machine.run("sh", "-c", script, check=False).stdout.splitlines()
    return [line.split()[_OWN].removeprefix(PREFIX) for line in lines]


def mounts(site: Site) -> list[str]:
    """Give the mount points that the machine itself sees, outside of every container."""
    lines = Path(f"/proc/{site.machine.pid1}/mountinfo").read_text().splitlines()
    return sorted(line.split()[_OWN] for line in lines)
