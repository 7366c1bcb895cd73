"""A mount that shows the files of one owner as another's, so that an overlay can give them to its user."""

import os
from pathlib import Path

from darlingbuilder.adapters import child, mountcalls
from darlingbuilder.core.owner import Owner

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# The last one, (uid_t) -1, is nobody's.
_IDS = 2**32 - 1


def clone(source: Path, shown_as: Owner) -> int:
    """Clone the mount of the directory ``source``, read-only, whoever owns that shown as ``shown_as``.

    Every other owner is shown as ever. Gives a descriptor of what is attached nowhere, and gone when it is closed.
    Raises OSError where the kernel or the file system cannot.
    """
    place = os.open(source, _DIRECTORY)
    try:
        found = os.fstat(place)
        tree = mountcalls.clone(place)
    finally:
        os.close(place)
    # A daemon's store has its builders' group, but root's is that of all that is in it.
    owner = Owner(found.st_uid, found.st_gid if found.st_uid else 0)
    try:
        _map(tree, owner, shown_as)
    except OSError:
        os.close(tree)
        raise
    return tree


def trial(source: Path, shown_as: Owner) -> str:
    """Say why ``source`` cannot be an overlay's lower layer in this way; empty if it can. Leaves nothing behind."""

    def action() -> None:
        child.unshare(_CLONE_NEWNS)
        mountcalls.isolate()
        tree = clone(source, shown_as)
        place = os.open(source, _DIRECTORY)
        mountcalls.attach(tree, place)
        # Without an upper layer, an overlay wants a second lower one.
        other = mountcalls.make("tmpfs")
        mountcalls.attach(other, place)
        mountcalls.make("overlay", lowerdir=f"/proc/self/fd/{tree}:/proc/self/fd/{other}")

    return child.failure_of(action)


def extents(on_disk: int, shown: int) -> str:
    """Give a uid_map that turns ``on_disk`` into ``shown`` and leaves the others, but for ``shown`` itself, alone."""
    # One to one, as the kernel wants it: what belongs to ``shown`` on the disk is shown as nobody's.
    taken = sorted({on_disk, shown})
    starts, ends = [0, *(one + 1 for one in taken)], [*taken, _IDS]
    kept = [f"{start} {start} {end - start}" for start, end in zip(starts, ends, strict=True) if end > start]
    return "\n".join([f"{on_disk} {shown} 1", *kept]) + "\n"


def _map(tree: int, on_disk: Owner, shown: Owner) -> None:
    with child.waiting(lambda: child.unshare(_CLONE_NEWUSER)) as pid:
        Path(f"/proc/{pid}/uid_map").write_text(extents(on_disk.uid, shown.uid))
        Path(f"/proc/{pid}/gid_map").write_text(extents(on_disk.gid, shown.gid))
        namespace = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        mountcalls.show_as_others(tree, namespace)
    finally:
        os.close(namespace)
