"""Release tarballs of Nix: checked against a pinned hash, then unpacked where nothing else is."""

import errno
import gzip
import hashlib
import lzma
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from darlingbuilder.core import storepath
from darlingbuilder.core.errors import BuilderError, ConfigError

SYSTEM = "x86_64-darwin"
_TOP = re.compile(r"nix-(?P<version>.+?)-(?P<system>[a-z0-9_]+-[a-z]+)\Z")
_LARGEST_TEXT = 2**24
_CHUNK = 2**20
_DAMAGE = (tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError)


@dataclass(frozen=True, slots=True)
class Release:
    """What a release says of itself: the store paths of nix and cacert (empty: none), and their registration."""

    nix: str
    cacert: str
    registration: bytes


def unpack(file: Path, *, sha256: str, into: Path) -> Release:
    """Unpack the store of the release tarball ``file`` to <into>/nix/store. Raises ConfigError.

    Nothing of it is looked at before its hash is right. ``into`` must be a directory that nobody else can write.
    """
    try:
        archive = file.open("rb")
    except OSError as error:
        raise ConfigError(
            f"nix.tarball: {file} cannot be read: {error.strerror}", hint="name a release tarball of Nix on this host"
        ) from error
    with archive:
        _check_hash(archive, file, sha256)
        unpacking = _Unpacking(file, into / "nix/store")
        with _translated(file, into), tarfile.open(fileobj=archive, mode="r:*") as members:
            for member in members:
                unpacking.place(members, member)
            _read_to_end(members)
            unpacking.place_links()
    return unpacking.release()


def _check_hash(archive: IO[bytes], file: Path, sha256: str) -> None:
    actual = hashlib.file_digest(archive, "sha256").hexdigest()  # type: ignore[arg-type]
    if actual != sha256:
        raise ConfigError(
            f"nix.tarball: {file} has the SHA-256 {actual}, nix.sha256 says {sha256}",
            hint="it is damaged, or another file: fetch it again; change nix.sha256 only to a hash that you trust",
        )
    archive.seek(0)


@contextmanager
def _translated(file: Path, into: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise _unusable(file, f"is no tar archive, or damaged ({str(error).splitlines()[0]})") from error
    except OSError as error:
        if error.errno in {None, errno.EINVAL}:  # bz2's and lzma's way to say it
            raise _unusable(file, f"is damaged ({error})") from error
        raise BuilderError(
            f"{file} cannot be unpacked to {into}: {error.strerror}", hint="see that there is space left"
        ) from error


def _unusable(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"nix.tarball: {file} {why}",
        hint=f"fetch nix-<version>-{SYSTEM}.tar.xz from https://releases.nixos.org/?prefix=nix/ and pin its hash",
    )


@dataclass(slots=True)
class _Unpacking:
    """A tarball on its way to a store directory.

    Links are made when all else is in place: nothing can be written through one.
    """

    file: Path
    store: Path
    texts: dict[str, bytes] = field(default_factory=dict)
    placed: dict[PurePosixPath, Path] = field(default_factory=dict)
    links: list[tuple[Path, str]] = field(default_factory=list)

    def place(self, members: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Put one member where it belongs, or remember what it says."""
        name = self._checked(member.name)
        inside = name.parts[1:]
        if inside in {("install",), (".reginfo",)} and member.isfile() and member.size <= _LARGEST_TEXT:
            self.texts[inside[0]] = _content(members, member).read()
        elif len(inside) > 1 and inside[0] == "store":
            self._place_in_store(members, member, self.store.joinpath(*inside[1:]))
            self.placed[name] = self.store.joinpath(*inside[1:])

    def place_links(self) -> None:
        """Make the symbolic links."""
        for path, target in self.links:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)

    def release(self) -> Release:
        """Give what the tarball says of itself, once it is unpacked."""
        for name in ("install", ".reginfo"):
            if name not in self.texts:
                raise _unusable(self.file, f"holds no {name}: it is no release of Nix")
        install = self.texts["install"].decode(errors="replace")
        nix, cacert = (_assigned(install, name) for name in ("nix", "cacert"))
        if not nix or not (self.store / PurePosixPath(nix).name).is_dir():
            raise _unusable(self.file, f"names {nix or 'no Nix'} in its install, and does not hold it")
        return Release(nix, cacert, self.texts[".reginfo"])

    def _checked(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise _unusable(self.file, f"holds {name!r}, which leads out of it")
        if not path.parts:
            return PurePosixPath("top")
        top = _TOP.match(path.parts[0])
        if not top:
            raise _unusable(self.file, f"holds {path.parts[0]!r}: it is no release of Nix")
        if top["system"] != SYSTEM:
            raise _unusable(self.file, f"is Nix {top['version']} for {top['system']}; the guest needs {SYSTEM}")
        return path

    def _place_in_store(self, members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            self.links.append((path, member.linkname))
        elif member.islnk():
            path.hardlink_to(self._linked(member))
        elif member.isfile():
            # Of a mode Nix keeps only whether the owner may execute.
            with path.open("xb") as out:
                shutil.copyfileobj(_content(members, member), out)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise _unusable(self.file, f"holds {member.name!r}, which is neither file, directory nor link")

    def _linked(self, member: tarfile.TarInfo) -> Path:
        found = self.placed.get(PurePosixPath(member.linkname))
        if found is None or not found.is_file():
            raise _unusable(self.file, f"holds {member.name!r}, a link to nothing in it")
        return found


def _read_to_end(members: tarfile.TarFile) -> None:
    """See that the compressed stream is whole: the archive's own end may come before the end of what is read."""
    while members.fileobj.read(_CHUNK):
        pass


def _content(members: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = members.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content


def _assigned(script: str, variable: str) -> str:
    found = re.search(rf"^{variable}=\"?({storepath.PATTERN})\"?\s*$", script, re.MULTILINE)
    return found[1] if found else ""
