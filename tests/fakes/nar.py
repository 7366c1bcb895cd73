"""Nix archives as Nix writes them: what a registered hash is a hash of."""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path


def nar(path: Path) -> bytes:
    return _string("nix-archive-1") + b"".join(_node(path))


def nar_hash(path: Path) -> str:
    return hashlib.sha256(nar(path)).hexdigest()


def nar_size(path: Path) -> int:
    return len(nar(path))


def registration(path: str, at: Path, references: tuple[str, ...] = ()) -> str:
    """Describe the store path ``path``, which lies ``at``, as ``nix-store --dump-db`` does."""
    lines = (path, nar_hash(at), str(len(nar(at))), "", str(len(references)), *references)
    return "".join(f"{line}\n" for line in lines)


def _node(path: Path) -> Iterator[bytes]:
    mode = path.lstat().st_mode
    yield from map(_string, ("(", "type"))
    if stat.S_ISLNK(mode):
        yield from map(_string, ("symlink", "target", str(path.readlink())))
    elif stat.S_ISREG(mode):
        yield _string("regular")
        if mode & stat.S_IXUSR:
            yield from map(_string, ("executable", ""))
        yield _string("contents") + _string(path.read_bytes())
    else:
        yield _string("directory")
        for name in sorted(entry.name for entry in path.iterdir()):
            yield from map(_string, ("entry", "(", "name", name, "node"))
            yield from _node(path / name)
            yield _string(")")
    yield _string(")")


def _string(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return len(raw).to_bytes(8, "little") + raw + bytes(-len(raw) % 8)
