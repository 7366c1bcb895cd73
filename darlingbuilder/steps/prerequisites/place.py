"""The place where the builder keeps its files: what kind of file system, how much room, who can reach it."""

import os
from collections.abc import Iterable
from pathlib import Path

from darlingbuilder.adapters import mounts
from darlingbuilder.adapters.mounts import Mount
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.attributes import Attributes, Kind
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import bytes_of
from darlingbuilder.core.together import LONGEST_PREFIX
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning

# As the upper layer of an overlayfs the first do not work (FACTS); the others are not known to.
_REFUSED = frozenset({"nfs", "nfs4", "ecryptfs", "overlay", "vfat", "msdos", "exfat", "ntfs", "ntfs3"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "virtiofs", "fuse", "fuseblk"})
_GIBIBYTE = 2**30
_ADVISED = 10 * _GIBIBYTE
_NEEDED = _GIBIBYTE
# Nix alone has some 3 000 files, a compiler with its libraries 50 000.
_ADVISED_FILES = 100_000


def prefix(surroundings: Surroundings) -> Verdict:
    """Look at the file system below the prefix, which has to serve as an overlay's upper layer."""
    path = surroundings.settings.prefix_path
    mount = _mount(surroundings, path)
    if mount is None:
        return warning(f"{path}: /proc does not say on which file system it is", "mount /proc")
    if mount.kind in _REFUSED:
        return failure(
            f"{path} is on {mount.kind} (mounted on {mount.point})",
            "choose a «state» or «prefix» on ext4, XFS, Btrfs or tmpfs",
        )
    if unusable := _unusable(mount):
        return unusable
    if _is_remote(mount):
        return warning(
            f"{path} is on {mount.kind} (mounted on {mount.point})", "ext4, XFS, Btrfs and tmpfs are known to work"
        )
    return ok(f"{path} ({len(bytes(path))} of {LONGEST_PREFIX} bytes) on {mount.kind}")


def state(surroundings: Surroundings) -> Verdict:
    """Look at the file system of the guest's Nix."""
    path = Paths(surroundings.settings).nix
    mount = _mount(surroundings, path)
    if mount is None:
        return warning(f"{path}: /proc does not say on which file system it is", "mount /proc")
    if surroundings.settings.shares_store and mount.kind in _REFUSED:
        return failure(
            f"{path} is on {mount.kind} (mounted on {mount.point}), which cannot be an overlay's upper layer",
            'set «store» to "copy"; or choose a «state» on ext4, XFS, Btrfs or tmpfs',
        )
    return _unusable(mount) or ok(f"{path} on {mount.kind}")


def room(surroundings: Surroundings) -> Verdict:
    """Look at the room on those file systems; of two, at the one that has less."""
    host, settings = surroundings.world.host, surroundings.settings
    table = mounts.table(host)
    # A store with a limit of its own has as little room as somebody wanted; what holds it needs some.
    limited = bytes_of(settings.store_size) or host.attributes(Paths(settings).image)
    paths = {settings.prefix_path, Paths(settings).state if limited else Paths(settings).nix}
    # A server that is down would keep us waiting; «prefix» has its say on such file systems.
    near = [path for path in paths if not ((mount := mounts.holding(table, path)) and _is_remote(mount))]
    found = [(existing(host, path), path) for path in near]
    known = [(os.statvfs(host.root / found_at.relative_to("/")), found_at) for found_at, _ in found]
    if not known:
        return warning("not looked at: the file system is remote", "see that 10 GiB are free")
    least, where = min(known, key=lambda one: one[0].f_bavail * one[0].f_frsize)
    # Btrfs makes files as needed and counts none.
    files = least.f_favail if least.f_files else None
    return judge_room(where, free=least.f_bavail * least.f_frsize, files=files)


def judge_room(where: Path, *, free: int, files: int | None) -> Verdict:
    """Say whether ``free`` bytes and room for ``files`` more files (None: no limit) are enough."""
    detail = f"{free / _GIBIBYTE:.1f} GiB free at {where}"
    gibibytes = round(free / _GIBIBYTE, 1)
    hint = "make room: nix-collect-garbage frees the host's store; or choose a «state» on another disk"
    if free < _NEEDED:
        return failure(f"{detail}; {_NEEDED // _GIBIBYTE} GiB is the least", hint, gibibytes)
    if free < _ADVISED:
        return warning(f"{detail}; {_ADVISED // _GIBIBYTE} GiB are advised", hint, gibibytes)
    if files is not None and files < _ADVISED_FILES:
        return warning(f"room for {files} files at {where}; {_ADVISED_FILES} are advised", hint, gibibytes)
    return ok(detail, gibibytes)


def reach(surroundings: Surroundings) -> Verdict:
    """Look whether the service user gets to the prefix through the directories that are not the builder's own."""
    host, settings = surroundings.world.host, surroundings.settings
    account = surroundings.world.accounts.find(settings.user)
    for path in _foreign_parents(settings.prefix_path, Path(settings.state)):
        found = host.attributes(_resolved(host, path))
        if found and found.kind is Kind.DIRECTORY and not _may_pass(found, account):
            return failure(
                f"{path} (mode {found.mode:04o}) lets only its owner through, not {settings.user}",
                f"chmod o+x {path}; or choose a «state» elsewhere",
            )
    return ok(f"{settings.user} gets there")


def _mount(surroundings: Surroundings, path: Path) -> Mount | None:
    host = surroundings.world.host
    table = mounts.table(host)
    named = mounts.holding(table, path)
    if named and _is_remote(named):
        return named
    return mounts.holding(table, existing(host, path))


def _unusable(mount: Mount) -> Verdict | None:
    for option, consequence in (("ro", "nothing can be written there"), ("noexec", "no build could run there")):
        if option in mount.options:
            return failure(
                f"{mount.point} is mounted {option}: {consequence}",
                f"mount -o remount,{'rw' if option == 'ro' else 'exec'} {mount.point}; or choose a «state» elsewhere",
            )
    return None


def _is_remote(mount: Mount) -> bool:
    return mount.kind in _REMOTE or mount.kind.startswith("fuse.")


def existing(host: Tree, path: Path) -> Path:
    """Find the nearest of ``path`` and its parents that exists, and give what it really is."""
    return _resolved(host, next(candidate for candidate in (path, *path.parents) if _is_there(host, candidate)))


def _is_there(host: Tree, path: Path) -> bool:
    try:
        return (host.root / path.relative_to("/")).exists()
    except PermissionError:  # an ordinary user's «doctor» sees as far as the directories let it
        return False


def _resolved(host: Tree, path: Path) -> Path:
    real = (host.root / path.relative_to("/")).resolve()
    return Path("/") / real.relative_to(host.root.resolve())


def _foreign_parents(prefix: Path, state: Path) -> Iterable[Path]:
    """List the directories above the prefix that no step makes or corrects."""
    ours = {state, *(path for path in prefix.parents if state in path.parents), prefix.parent}
    return [path for path in reversed(prefix.parents) if path not in ours]


def _may_pass(directory: Attributes, account: Account | None) -> bool:
    if account and directory.owner.uid == account.owner.uid:
        return bool(directory.mode & 0o100)
    if account and directory.owner.gid == account.owner.gid:
        return bool(directory.mode & 0o010)
    return bool(directory.mode & 0o001)
