"""A machine that has all that a builder needs, to take something away from."""

import datetime as dt
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darlingbuilder.core.paths import NIX_DAEMON
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites.finding import Surroundings
from tests.fakes.world import FakeWorld, fake_world

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw,nosuid,nodev,noexec - proc proc rw
"""
FILES = {
    "/proc/sys/net/unix/max_dgram_qlen": "512\n",
    "/proc/filesystems": "nodev\tproc\nnodev\toverlay\n\text4\n",
    "/etc/ssh/ssh_config": "Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG\n",
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n',
}
_DIRECTORIES = ("/run/systemd/system", "/var/lib", "/proc/self/ns")


def fit_world(tmp_path: Path, settings: Settings, *, mounts: str = MOUNTS) -> FakeWorld:
    """Give a machine on which nothing is missing but, below ``tmp_path``, the builder."""
    world = fake_world(tmp_path, settings)
    for directory in _DIRECTORIES:
        world.host.make_directory(Path(directory))
    for path, text in {**FILES, "/proc/self/mountinfo": mounts}.items():
        world.host.write(Path(path), text.encode())
    world.systemd.packaged.add(NIX_DAEMON)
    world.systemd.start(NIX_DAEMON)
    for name in ("mnt", "pid", "ipc", "uts", "net"):
        world.host.write(Path("/proc/self/ns") / name, b"")
    return world


def fit(tmp_path: Path, settings: Settings | None = None, *, mounts: str = MOUNTS) -> Surroundings:
    """Give root's view of such a machine."""
    chosen = settings or Settings()
    return around(fit_world(tmp_path, chosen, mounts=mounts), chosen)


def around(world: FakeWorld, settings: Settings) -> Surroundings:
    """Give root's view of ``world``, whose processor and tools are right, in a year of the platform's life."""
    return Surroundings(
        settings,
        world,
        uid=0,
        processor="x86_64",
        kernel="6.18.0",
        shareable=lambda _store, _owner: "",
        find=lambda name: Path("/usr/bin") / name,
        today=dt.date(2026, 4, 1),
    )


@contextmanager
def listening() -> Iterator[int]:
    """Listen on a port that was free, as a process that is no builder."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        yield int(opened.getsockname()[1])


def free_port() -> int:
    """Name a port on which nobody listens."""
    with listening() as port:
        return port
