"""The programs that the builder needs on the host, and the package that each comes with."""

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.volumes import VOLUME_PROGRAMS
from darlingbuilder.core.settings import bytes_of
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok

_LOOP_CONTROL = Path("/dev/loop-control")
_OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, and the package that brings it by the name of the distribution that packs it."""

    program: str
    packages: dict[str, str]


_OPENSSH = {"debian": "openssh-client", "arch": "openssh", "nixos": "openssh"}
_SYSTEMD = {"debian": "systemd", "arch": "systemd", "nixos": "systemd"}
_SHADOW = {"debian": "passwd", "arch": "shadow", "nixos": "shadow"}

TOOLS = (
    Tool("ssh", _OPENSSH),
    Tool("ssh-keyscan", _OPENSSH),
    Tool("systemd-sysusers", _SYSTEMD),
    Tool("journalctl", _SYSTEMD),
    Tool("userdel", _SHADOW),
    Tool("groupdel", _SHADOW),
)
_INSTALL = {
    "debian": "apt install {}",
    "arch": "pacman -S --needed {}",
    "nixos": "environment.systemPackages = with pkgs; [ {} ];",
}


def tools(surroundings: Surroundings) -> Verdict:
    """Look for every program."""
    missing = [tool for tool in TOOLS if surroundings.find(tool.program) is None]
    if not missing:
        return ok(f"all {len(TOOLS)} found")
    names = ", ".join(tool.program for tool in missing)
    return failure(f"not found: {names}", _remedy(missing, surroundings.world.host))


def launcher(surroundings: Surroundings) -> Verdict:
    """Look at Darling's launcher, which has to become root by itself."""
    path = surroundings.world.darling.launcher()
    found = path.stat()
    nosuid = bool(os.statvfs(path).f_flag & os.ST_NOSUID)
    return judge_launcher(path, mode=found.st_mode, uid=found.st_uid, nosuid=nosuid)


def judge_launcher(path: Path, *, mode: int, uid: int, nosuid: bool) -> Verdict:
    """Say whether a launcher with these attributes becomes root when an ordinary user starts it."""
    if not mode & stat.S_IXOTH:
        return failure(f"{path} cannot be executed by everybody", f"chmod 4755 {shlex.quote(str(path))}")
    if not mode & stat.S_ISUID or uid != 0:
        return failure(
            f"{path} is not setuid root (mode {stat.S_IMODE(mode):04o}, owner {uid})",
            f"chown root:root {path} && chmod 4755 {path}; on NixOS: programs.darling.enable = true, "
            "which puts it at /run/wrappers/bin/darling",
        )
    if nosuid:
        return failure(
            f"{path} is setuid root, but lies on a file system that is mounted nosuid",
            "mount that one without nosuid, or install Darling on another",
        )
    return ok(f"{path}, setuid root")


def _remedy(missing: list[Tool], host: Tree) -> str:
    family = _family(host)
    chosen = [family] if family else list(_INSTALL)
    return "; ".join(_INSTALL[name].format(_packages(missing, name)) for name in chosen)


def _packages(missing: list[Tool], family: str) -> str:
    return " ".join(sorted({tool.packages[family] for tool in missing}))


def _family(host: Tree) -> str | None:
    """Name the distribution that this one is, or derives from; None if it is none that we know."""
    text = next((content for path in _OS_RELEASE if (content := host.read(path)) is not None), b"")
    lines = (line.partition("=") for line in text.decode(errors="replace").splitlines())
    told = {key: value.strip("\"'") for key, _, value in lines}
    names = [told.get("ID", ""), *told.get("ID_LIKE", "").split()]
    return next((name for name in names if name in _INSTALL), None)


def limit(surroundings: Surroundings) -> Verdict:
    """Look for what «store_size» needs, if it is set."""
    if not bytes_of(surroundings.settings.store_size):
        return ok("store_size sets none")
    missing = [program for program in VOLUME_PROGRAMS if surroundings.find(program) is None]
    if missing:
        return failure(f"store_size needs {', '.join(missing)}", "install e2fsprogs; or leave store_size out")
    if surroundings.world.host.attributes(_LOOP_CONTROL) is None:
        return failure("store_size needs loop devices", "modprobe loop; or leave store_size out")
    return ok(f"store_size is {surroundings.settings.store_size}")
