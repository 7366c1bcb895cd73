"""Mounts in the mount namespace of another process, made without running anything that lies there.

The guest's user can plant links in the prefix, also between a look and a use. A mount(8) started by nsenter(1)
would follow them, and would itself be looked up in that namespace.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import child, idmapped, mountcalls
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.owner import Owner

_CLONE_NEWNS = 0x00020000
_O_PATH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLANTED = "somebody in the guest may have put a link or a file there; remove it, then: darlingbuilder restart"
_UNFIT = 'see what does not fit: darlingbuilder doctor; or set «store» to "copy", then: darlingbuilder init'
# What an upper layer refers to must be all in it: the host's Nix reads it as it lies, and it outlives the lower one.
_SELF_CONTAINED = {"index": "off", "metacopy": "off", "redirect_dir": "off"}


@dataclass(frozen=True, slots=True)
class Place:
    """The directory ``path`` below ``below``, as the process ``namespace_of`` sees them.

    No link is followed, neither in ``below`` itself nor on the way down from it.
    """

    below: Path
    path: Path
    namespace_of: int

    def entered(self) -> int:
        """Enter the namespace, for good, and open the directory. Raises OSError."""
        namespace = os.open(f"/proc/{self.namespace_of}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        child.enter(namespace, _CLONE_NEWNS)
        place = os.open(self.below, _O_PATH)
        for name in self.path.relative_to("/").parts:
            place = os.open(name, _O_PATH, dir_fd=place)
        return place

    def __str__(self) -> str:
        return f"{self.path} in the container of {self.below}"


@dataclass(frozen=True, slots=True)
class Layers:
    """What an overlay consists of; ``upper`` and ``work`` lie side by side, in a directory that is no link.

    The owner of ``lower`` is shown as ``shown_as``, who writes the upper layer.
    """

    lower: Path
    upper: Path
    work: Path
    shown_as: Owner


def bind(source: Path, place: Place) -> None:
    """Bind ``source``, a path in that namespace, on ``place``. Raises DarlingError."""

    def action() -> None:
        directory = place.entered()
        mountcalls.bind(source, directory)

    _do(action, f"{source} cannot be mounted on {place}", _PLANTED)


def overlay(layers: Layers, place: Place) -> None:
    """Mount an overlay on ``place``; its lower layer is seen through it alone. Raises DarlingError."""
    _do(lambda: _overlay(layers, place), f"an overlay over {layers.lower} cannot be mounted on {place}", _UNFIT)


def refresh(place: Place) -> None:
    """Have the file system at ``place`` forget which names it has looked up. Raises DarlingError."""
    _do(lambda: mountcalls.refresh(place.entered()), f"what is mounted on {place} cannot be refreshed", _PLANTED)


def _overlay(layers: Layers, place: Place) -> None:
    # Of the host's mounts as we see them: a container that was booted long ago may not know the latest.
    lower = idmapped.clone(layers.lower, layers.shown_as)
    directory = place.entered()
    beside = os.open(layers.upper.parent, _O_PATH)
    upper, work = (os.open(one.name, _O_PATH, dir_fd=beside) for one in (layers.upper, layers.work))
    # A layer has to be attached somewhere while the overlay is made, which then has a copy of its own.
    mountcalls.attach(lower, directory)
    try:
        made = mountcalls.make(
            "overlay",
            source="darlingbuilder",
            lowerdir=_name(lower),
            upperdir=_name(upper),
            workdir=_name(work),
            **_SELF_CONTAINED,
        )
    finally:
        mountcalls.detach(lower)
    mountcalls.attach(made, directory)


def _name(descriptor: int) -> str:
    """Name what is open without its path, which could hold what overlayfs takes for a separator."""
    return f"/proc/self/fd/{descriptor}"


def _do(action: Callable[[], None], what: str, hint: str) -> None:
    if why := child.failure_of(action):
        raise DarlingError(f"{what}: {why}", hint=hint)
