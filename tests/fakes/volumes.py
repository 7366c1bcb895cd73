"""File systems in files, whose content lies beside the image and takes the place where they are mounted."""

from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.core.errors import CommandError, PrerequisiteError


@dataclass(slots=True)
class FakeVolumes:
    """``mounted``: place → image. What is hidden by a mount comes to light again when that ends.

    ``possible`` is false where there are no loop devices.
    """

    possible: bool = True
    mounted: dict[Path, Path] = field(default_factory=dict)
    _stash: dict[Path, Path] = field(default_factory=dict)

    def make(self, image: Path, size: int) -> None:
        """See Volumes."""
        with image.open("xb") as file:
            file.truncate(size)
        _content(image).mkdir()
        (_content(image) / "lost+found").mkdir()

    def grow(self, image: Path, size: int) -> None:
        """See Volumes."""
        if image in self.mounted.values():
            raise CommandError(f"e2fsck: {image} is mounted", hint="unmount it")
        with image.open("r+b") as file:
            file.truncate(size)

    def mount(self, image: Path, at: Path) -> None:
        """See Volumes."""
        if not self.possible:
            raise PrerequisiteError(f"{image} cannot be mounted at {at}", hint="modprobe loop")
        if self.is_mounted(at) or not _content(image).is_dir():
            raise CommandError(f"mount: {image} is mounted already, or no file system", hint="unmount it")
        stash = _content(image)
        at.rename(_hidden(at))
        stash.rename(at)
        self.mounted[at] = image
        self._stash[at] = stash

    def unmount(self, at: Path) -> None:
        """See Volumes."""
        if self.mounted.pop(at, None):
            at.rename(self._stash.pop(at))
            _hidden(at).rename(at)

    def is_mounted(self, at: Path) -> bool:
        """See Volumes."""
        return at in self.mounted

    def lose(self) -> None:
        """Let everything be unmounted, as a reboot does."""
        for at in list(self.mounted):
            self.unmount(at)


def _content(image: Path) -> Path:
    """Name where the content of ``image`` lies: by its inode, for it is renamed when it is filled."""
    return _elsewhere(image) / f"content-{image.stat().st_ino}"


def _hidden(at: Path) -> Path:
    return _elsewhere(at) / f"below-{at.name}"


def _elsewhere(path: Path) -> Path:
    """Give a directory that is no part of the machine below whose root ``path`` lies, and on its file system."""
    top = next(one for one in path.parents if (one / "etc").is_dir() or one.parent == one)
    directory = top.with_name(f"{top.name}.volumes")
    directory.mkdir(exist_ok=True)
    return directory
