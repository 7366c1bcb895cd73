"""The only module that reads and writes files of the machine and of the guest."""

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from darlingbuilder.core import descent, unfinished
from darlingbuilder.core.attributes import Attributes, Kind, described
from darlingbuilder.core.errors import ForeignFileError, GuestPathError
from darlingbuilder.core.links import REPLACED, Links, open_directory
from darlingbuilder.core.owner import Owner

# The longest of the guest's files that we read is sshd itself, of some MiB.
LONGEST = 1 << 24


ROOT = Owner(0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory whose inhabitants are named by absolute paths below it."""

    root: Path
    links: Links = Links.FOLLOWED

    def real(self, path: Path) -> Path:
        """Give the name of ``path`` for programs and system calls, which know of no tree."""
        return self.root / path.relative_to("/")

    def attributes(self, path: Path) -> Attributes | None:
        """Describe ``path`` itself, never what it links to; None if it is absent."""
        try:
            with self._parent(path) as (parent, name):
                return described(os.stat(name, dir_fd=parent, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def directory(self, path: Path) -> Attributes | None:
        """Describe the directory ``path``, or the one that it links to; None if there is none."""
        try:
            with self._directory(path) as directory:
                return described(os.fstat(directory))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, path: Path) -> bytes | None:
        """Give the content of the file ``path``; None if there is no such file.

        Raises GuestPathError where links are refused and the file is longer than any that we read there: its user
        can make one, sparse, that no memory holds.
        """
        if self.links is Links.FOLLOWED:
            return self.head(path, -1)
        content = self.head(path, LONGEST + 1)
        if content is not None and len(content) > LONGEST:
            raise GuestPathError(
                f"{self.real(path)} is longer than {LONGEST >> 20} MiB, as nothing is that belongs there",
                hint=REPLACED,
            )
        return content

    def head(self, path: Path, count: int) -> bytes | None:
        """Give the first ``count`` bytes of the file ``path``, all if that is -1; None if there is no such file."""
        # Without O_NONBLOCK a pipe of the guest's making would keep us waiting for ever.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        flags |= os.O_NOFOLLOW if self.links is Links.REFUSED else 0
        found = self.attributes(path)
        if found is None or (found.kind is not Kind.FILE and self.links is Links.REFUSED):
            return None
        try:
            with self._parent(path) as (parent, name), open(_at(name, flags, parent), "rb") as file:
                return file.read(count)
        except (FileNotFoundError, IsADirectoryError):
            return None

    def link(self, path: Path) -> str | None:
        """Give the target of the symbolic link ``path``; None if it is none."""
        found = self.attributes(path)
        if found is None or found.kind is not Kind.LINK:
            return None
        with self._parent(path) as (parent, name):
            return os.readlink(name, dir_fd=parent)

    def names(self, path: Path) -> list[str]:
        """List the directory ``path``, sorted; nothing if it is absent."""
        try:
            with self._directory(path) as directory:
                return sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def write(self, path: Path, content: bytes, *, mode: int = 0o644, owner: Owner | None = None) -> None:
        """Put ``content`` at ``path`` whole or not at all, with its final mode and owner from the first byte.

        Missing parents are made; without ``owner`` the file belongs to this process.
        """
        self.make_directory(path.parent)
        with self._parent(path) as (parent, name):
            self._refuse_other(path, parent, name)
            with unfinished.written(parent, name, content, mode, owner) as temporary:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)

    def create(self, path: Path, content: bytes, *, mode: int, owner: Owner) -> None:
        """Like ``write``, but never over anything. Raises FileExistsError if there is something at ``path``."""
        self.make_directory(path.parent)
        with (
            self._parent(path) as (parent, name),
            unfinished.written(parent, name, content, mode, owner) as temporary,
        ):
            os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)

    def replace(self, path: Path, content: bytes, *, mode: int, owner: Owner, mtime_ns: int | None = None) -> None:
        """Like ``write``, but over a link, too, and never through it; with ``mtime_ns``, as old as that."""
        self.make_directory(path.parent)
        with self._parent(path) as (parent, name):
            if self.link(path) is None:
                self._refuse_other(path, parent, name)
            with unfinished.written(parent, name, content, mode, owner) as temporary:
                if mtime_ns is not None:
                    os.utime(temporary, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """Open the file ``path`` for reading and writing; if it is absent, an empty one is made, root's alone."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        with self._parent(path) as (parent, name):
            descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def set_attributes(self, path: Path, *, mode: int, owner: Owner) -> None:
        """Correct mode and owner of the file ``path``, its content untouched; a link is not followed."""
        with self._parent(path) as (parent, name):
            descriptor = _at(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW, parent)
            try:
                # The owner first: giving a file away can clear bits of its mode.
                os.fchown(descriptor, owner.uid, owner.gid)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)

    def write_link(self, path: Path, target: str, *, owner: Owner | None = None) -> None:
        """Make ``path`` a symbolic link to ``target``, replacing a link at once."""
        self.make_directory(path.parent)
        with self._parent(path) as (parent, name):
            temporary = unfinished.name_for(name)
            os.symlink(target, temporary, dir_fd=parent)
            if owner:
                os.chown(temporary, owner.uid, owner.gid, dir_fd=parent, follow_symlinks=False)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)

    def make_directory(self, path: Path, *, mode: int = 0o755, owner: Owner | None = None) -> None:
        """Make ``path`` and its missing parents; with ``owner``, correct one that exists."""
        if path == path.parent:
            return
        found = self.attributes(path)
        if found is None:
            self.make_directory(path.parent)
            with self._parent(path) as (parent, name):
                os.mkdir(name, 0o700, dir_fd=parent)
        elif found.kind is not Kind.DIRECTORY:
            self._require_directory(path)
        if found is None or owner:
            with self._directory(path) as directory:
                if owner:
                    os.fchown(directory, owner.uid, owner.gid)
                os.fchmod(directory, mode)

    def rename(self, path: Path, target: Path) -> None:
        """Give ``path`` the name ``target``, where nothing but a file may be, on the same file system."""
        with self._parent(path) as (parent, name), self._parent(target) as (target_parent, target_name):
            os.rename(name, target_name, src_dir_fd=parent, dst_dir_fd=target_parent)
            os.fsync(target_parent)

    def remove(self, path: Path) -> None:
        """Remove the file, link or whole directory ``path``. Succeeds if it is already gone.

        Raises ForeignFileError where something is mounted; what is in that stays.
        """
        if self.attributes(path) is None:
            return
        with self._parent(path) as (parent, name):
            try:
                descent.remove(parent, name)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                raise ForeignFileError(
                    f"{self.real(path)}: something is mounted on it, or below it",
                    hint="see what that is (findmnt), and unmount it; then try again",
                ) from error

    def sweep(self, path: Path) -> None:
        """Remove what killed writers have left of the file ``path``, which nobody writes meanwhile."""
        for name in self.names(path.parent):
            if unfinished.is_for(path.name, name):
                self.remove(path.with_name(name))

    def remove_if_empty(self, path: Path) -> None:
        """Remove the directory ``path`` if nothing is in it. Succeeds if it is already gone."""
        with contextlib.suppress(FileNotFoundError, OSError), self._parent(path) as (parent, name):
            os.rmdir(name, dir_fd=parent)

    def _require_directory(self, path: Path) -> None:
        """Refuse what is no directory and, where links are followed, no link to one."""
        try:
            with self._directory(path):
                return
        except (FileNotFoundError, NotADirectoryError):
            raise ForeignFileError(
                f"{self.root / path.relative_to('/')} is no directory, and one is needed there",
                hint="somebody else has put it there: move it away",
            ) from None

    def _refuse_other(self, path: Path, parent: int, name: str) -> None:
        """Refuse to write over what is not a file; in the guest, where nothing is anybody else's, make way."""
        try:
            kind = described(os.stat(name, dir_fd=parent, follow_symlinks=False)).kind
        except FileNotFoundError:
            return
        if self.links is Links.REFUSED:
            # What is renamed over a link, or a pipe, replaces it.
            if kind is Kind.DIRECTORY:
                self.remove(path)
            return
        what = {Kind.LINK: "a symbolic link", Kind.DIRECTORY: "a directory", Kind.OTHER: "a special file"}.get(kind)
        if what:
            raise ForeignFileError(
                f"{self.real(path)} is {what}, not a file of ours",
                hint=f"whatever manages it (NixOS, say) must do this part; or remove the {kind.value}",
            )

    @contextlib.contextmanager
    def descriptor(self, path: Path) -> Iterator[int]:
        """Give the directory ``path`` as an open descriptor. Raises FileNotFoundError if it is absent."""
        with self._directory(path) as directory:
            yield directory

    @contextlib.contextmanager
    def _parent(self, path: Path) -> Iterator[tuple[int, str]]:
        with self._directory(path.parent) as directory:
            yield directory, path.name

    @contextlib.contextmanager
    def _directory(self, path: Path) -> Iterator[int]:
        directory = open_directory(self.root, PurePosixPath(path).relative_to("/"), self.links)
        try:
            yield directory
        finally:
            os.close(directory)


def _at(name: str, flags: int, parent: int) -> int:
    return os.open(name, flags, dir_fd=parent)
