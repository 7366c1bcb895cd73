"""A file system in a file: an ext4 image of a fixed size, mounted through a loop device."""

import os
from pathlib import Path
from typing import Protocol

from darlingbuilder.adapters import mounts, process
from darlingbuilder.core.errors import CommandError, PrerequisiteError
from darlingbuilder.core.paths import straight

# Nothing of the guest's is a device or gains a right; freed blocks go back to the file system that holds the image.
_OPTIONS = "loop,nosuid,nodev,noatime,discard"
_SECONDS = 600
VOLUME_PROGRAMS = ("mkfs.ext4", "e2fsck", "resize2fs")


def free(place: Path) -> int:
    """Give the bytes that an ordinary user can still write in the file system of ``place``."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


class Volumes(Protocol):
    """Images and where they are mounted."""

    def make(self, image: Path, size: int) -> None:
        """Make ``image``, which must be absent, an empty file system of ``size`` bytes."""

    def grow(self, image: Path, size: int) -> None:
        """Make ``image``, which must not be mounted, larger. What was interrupted can be repeated."""

    def mount(self, image: Path, at: Path) -> None:
        """Mount ``image`` at the directory ``at``."""

    def unmount(self, at: Path) -> None:
        """Unmount what is mounted at ``at``. Succeeds if nothing is."""

    def is_mounted(self, at: Path) -> bool:
        """Whether a file system is mounted at ``at``."""


class LoopVolumes:
    """The real ones, by e2fsprogs and util-linux."""

    def make(self, image: Path, size: int) -> None:
        """See Volumes."""
        with image.open("xb") as file:
            image.chmod(0o600)
            file.truncate(size)
        process.run("mkfs.ext4", "-q", "-F", "-m", "0", image, timeout=_SECONDS)

    def grow(self, image: Path, size: int) -> None:
        """See Volumes. A mounted one could grow, too, but not everywhere: that takes CAP_SYS_RESOURCE."""
        with image.open("r+b") as file:
            file.truncate(max(size, image.stat().st_size))
        # 1: it has mended something. resize2fs insists on a check.
        checked = process.run("e2fsck", "-f", "-p", image, timeout=_SECONDS, check=False)
        if checked.code not in {0, 1}:
            raise CommandError(
                f"{image} is damaged: e2fsck gave {checked.code}: {checked.stdout.strip()}",
                hint=f"mend it by hand: e2fsck -f {image}; then: darlingbuilder init",
            )
        process.run("resize2fs", image, timeout=_SECONDS)

    def mount(self, image: Path, at: Path) -> None:
        """See Volumes."""
        try:
            process.run("mount", "--types", "ext4", "--options", _OPTIONS, image, at)
        except CommandError as error:
            raise PrerequisiteError(
                f"{image} cannot be mounted at {at}: {error}",
                hint="store_size needs loop devices (modprobe loop) and ext4; without them, leave store_size out",
            ) from error

    def unmount(self, at: Path) -> None:
        """See Volumes."""
        if self.is_mounted(at):
            process.run("umount", at)

    def is_mounted(self, at: Path) -> bool:
        """See Volumes."""
        return straight(at) in {mount.point for mount in mounts.of(os.getpid())}
