"""What a machine has before anybody makes a builder on it, and what it looks like from outside."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from darlingbuilder.core import compatibility, config
from darlingbuilder.core.config import Config
from darlingbuilder.core.paths import NIX_DAEMON
from tests.fakes.nix import add
from tests.fakes.release import CACERT, CACERT_FILES, NIX_FILES
from tests.fakes.world import FakeWorld

# Files of somebody else's, the last line of one without its newline.
FOREIGN: Mapping[str, bytes] = {
    "/etc/nix/nix.conf": b"experimental-features = nix-command\n",
    "/etc/nix/machines": b"ssh://other x86_64-linux /root/key 2 1",
    "/etc/ssh/ssh_config": b"Include /etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG\n",
    "/etc/systemd/system/other.service": b"[Service]\nExecStart=/bin/true\n",
    "/etc/sysusers.d/other.conf": b"u other -\n",
    "/etc/tmpfiles.d/other.conf": b"d /run/other\n",
}
_DIRECTORIES = ("/etc/ssh/ssh_config.d", "/run", "/var/lib")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory where syncing costs nothing: hundreds of builders are made there."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as directory:
        yield Path(directory)


def furnish(world: FakeWorld) -> FakeWorld:
    """Lay out a machine in use: files of others, a running nix-daemon, Nix for the guest in the host's store."""
    for directory in _DIRECTORIES:
        world.host.make_directory(Path(directory))
    for path, content in FOREIGN.items():
        world.host.write(Path(path), content)
    add(world.host.root, CACERT, CACERT_FILES)
    for version in compatibility.nix_paths().values():
        add(world.host.root, version, NIX_FILES, (CACERT,))
    world.systemd.packaged.add(NIX_DAEMON)
    world.systemd.start(NIX_DAEMON)
    return world


def chosen(**flags: str) -> Config:
    """Give the defaults, but for ``flags``; a dot in a key is written as two underscores."""
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return config.load(file=Path(os.devnull), environment={}, flags=named)


def seen(root: Path) -> dict[str, tuple[int, str]]:
    """Give what lies below ``root``: mode, and content or target."""
    return {str(path.relative_to(root)): (path.lstat().st_mode, _content(path)) for path in root.rglob("*")}


def times(root: Path) -> dict[str, int]:
    """Give when each file and directory below ``root`` was changed last."""
    return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in root.rglob("*")}


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes().decode(errors="surrogateescape") if path.is_file() else ""
