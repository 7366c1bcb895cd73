"""Whether the host's store can lie under the guest's: found by trying it, in a throwaway mount namespace."""

from darlingbuilder.adapters import mounts
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import STORE
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok, warning
from darlingbuilder.steps.prerequisites.place import existing

# The service user may not be there yet, and any other shows as well whether it can be done.
_SOMEBODY = Owner(65534, 65534)
_SHARED = "overlay"


def store(surroundings: Surroundings) -> Verdict:
    """Lay an overlay over the host's store as the service user would see it."""
    settings, host = surroundings.settings, surroundings.world.host
    if surroundings.uid != 0:
        return warning("not looked at: only root can mount", "run it with sudo")
    account = surroundings.world.accounts.find(settings.user)
    why = surroundings.shareable(host.real(STORE), account.owner if account else _SOMEBODY)
    where = f"{STORE} on {_kind(surroundings)}"
    if not why:
        return ok(f"{where} can be shared; store is {settings.store}")
    if settings.store != _SHARED:
        return ok(f"{where} cannot be shared ({why}), nor need it be: store is {settings.store}")
    return failure(
        f"{where} cannot be an overlay's lower layer for {settings.user}: {why} (kernel {surroundings.kernel})",
        'set «store» to "copy"; or move /nix to ext4, XFS or Btrfs, with Linux 5.19 or newer',
    )


def _kind(surroundings: Surroundings) -> str:
    host = surroundings.world.host
    found = mounts.holding(mounts.table(host), existing(host, STORE))
    return found.kind if found else "an unknown file system"
