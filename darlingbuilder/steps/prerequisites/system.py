"""The kernel, the user that we are, the user that the guest runs as, and systemd."""

import importlib.util
from pathlib import Path

from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning

_PROCESSOR = "x86_64"
_OVERLAY = "overlay"
_FILE_SYSTEMS = Path("/proc/filesystems")
_MODULES = (Path("/lib/modules"), Path("/run/booted-system/kernel-modules/lib/modules"))
_MODULE_LISTS = ("modules.dep", "modules.builtin")
_NAMESPACES = frozenset({"mnt", "pid", "ipc", "uts"})
_QUEUE = Path("/proc/sys/net/unix/max_dgram_qlen")
# What systemd sets at every boot; the kernel's own default is 10.
_ADVISED_QUEUE = 512
_BOOTED = Path("/run/systemd/system")
# Where login.defs of every common distribution has people begin and end; «nobody» is beyond.
_PEOPLE = range(1000, 60001)


def root(surroundings: Surroundings) -> Verdict:
    """Look at who we are."""
    if surroundings.uid == 0:
        return ok("yes")
    return failure(f"no: uid {surroundings.uid}", "run it with sudo")


def processor(surroundings: Surroundings) -> Verdict:
    """Look at the kind of the machine."""
    if surroundings.processor == _PROCESSOR:
        return ok(_PROCESSOR)
    return failure(surroundings.processor, "there is no remedy here: take an x86_64 machine")


def overlay(surroundings: Surroundings) -> Verdict:
    """Look for overlayfs: in use, or a module that a mount loads."""
    host = surroundings.world.host
    listed = (host.read(_FILE_SYSTEMS) or b"").decode(errors="replace").split()
    if _OVERLAY in listed:
        return ok("there")
    candidates = [path / surroundings.kernel / name for path in _MODULES for name in _MODULE_LISTS]
    lists = [content for path in candidates if (content := host.read(path)) is not None]
    if any(f"/{_OVERLAY}.ko".encode() in content for content in lists):
        return ok("a module, loaded by the first mount")
    if lists:
        return failure(
            f"kernel {surroundings.kernel} has none, built in or as a module", "take a kernel with CONFIG_OVERLAY_FS"
        )
    return warning("not loaded, and the kernel's modules are not to be seen from here", "modprobe overlay")


def namespaces(surroundings: Surroundings) -> Verdict:
    """Look for the namespaces that a container consists of."""
    names = surroundings.world.host.names(Path("/proc/self/ns"))
    if missing := sorted(_NAMESPACES - set(names)):
        return failure(
            f"kernel {surroundings.kernel} lacks: {', '.join(missing)}",
            "mount /proc; or take a kernel with CONFIG_NAMESPACES and its kinds",
        )
    return ok(", ".join(sorted(_NAMESPACES)))


def service_user(surroundings: Surroundings) -> Verdict:
    """Look at the user that the guest runs as."""
    name = surroundings.settings.user
    account = surroundings.world.accounts.find(name)
    if account is None:
        return ok(f"{name} does not exist yet; init makes it")
    uid = account.owner.uid
    if uid == 0:
        return failure(f"{name} has uid 0", "name another one with the setting «user», or leave that out")
    if uid in _PEOPLE:
        return warning(
            f"{name} (uid {uid}) looks like a person's login: builds could read and change its files",
            "name a system user with the setting «user», or leave that out",
        )
    return ok(f"{name}, uid {uid}")


def bus(surroundings: Surroundings) -> Verdict:
    """Ask systemd something over D-Bus."""
    if importlib.util.find_spec("pystemd") is None:
        raise PrerequisiteError(
            "Python's pystemd is not installed",
            hint="pip install pystemd, which needs a compiler: apt install libsystemd-dev pkg-config gcc",
        )
    if surroundings.world.host.attributes(_BOOTED) is None:
        return failure(
            "this machine was not booted by systemd", "run it where systemd is pid 1; a plain container has none"
        )
    state = surroundings.world.systemd.unit(surroundings.settings.names.unit)
    return ok(f"systemd answers; {surroundings.settings.names.unit} is {state.activity.value}")


def queue(surroundings: Surroundings) -> Verdict:
    """Look how many datagrams may wait in a Unix socket."""
    content = (surroundings.world.host.read(_QUEUE) or b"").strip()
    if not content.isdigit():
        return warning(f"{_QUEUE} says nothing", "mount /proc")
    length = int(content)
    if length < _ADVISED_QUEUE:
        return warning(
            f"{length}; systemd's own value is {_ADVISED_QUEUE}",
            f"sysctl net.unix.max_dgram_qlen={_ADVISED_QUEUE}, and the same in /etc/sysctl.d; it counts for "
            "containers that boot afterwards",
            length,
        )
    return ok(str(length), length)
