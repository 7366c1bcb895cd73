"""Settings that are right by themselves but wrong together, or that would put the machine at risk."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from darlingbuilder.core import compatibility, listen
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.hidden import is_a_home, is_temporary
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import NixSettings, Settings, bytes_of

# Unix sockets live in the prefix; with 80 bytes the boot fails (FACTS, «Darling's launcher»).
LONGEST_PREFIX = 78
# Darling passes the path on to overlayfs as a mount option, where these separate or quote.
_OVERLAY_SEPARATORS = frozenset(",:\\")
# What ssh_config, a machines line, a systemd unit and a store URI all take as it is.
_PLAIN = re.compile(r"[A-Za-z0-9/._+@=~-]")
# The builder gives directories to the service user and removes them: never one of these, which others share.
_SHARED = frozenset(
    Path("/", *path.split("/"))
    for path in (
        *("", "bin", "boot", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "root", "sbin", "srv", "tmp"),
        *("etc", "etc/nix", "etc/ssh", "etc/systemd", "run", "run/user", "run/wrappers"),
        *("usr", "usr/bin", "usr/lib", "usr/local", "usr/sbin", "usr/share"),
        *(
            "var",
            "var/cache",
            "var/lib",
            "var/lib/nix",
            "var/lib/private",
            "var/log",
            "var/opt",
            "var/spool",
            "var/tmp",
        ),
    )
)
# Nothing of ours belongs anywhere in these.
_SYSTEM = frozenset(map(Path, ("/dev", "/proc", "/sys", "/nix")))
# Nix itself takes a good part of it.
_SMALLEST_STORE = "256M"


def check_together(settings: Settings) -> None:
    """Refuse settings that are right by themselves but wrong together. Raises ConfigError."""
    check_places(settings)
    for check in _CHECKS:
        check(settings)


def check_places(settings: Settings) -> None:
    """Refuse paths at which a builder would put the machine at risk. Raises ConfigError."""
    for check in _PLACES:
        check(settings)


def _check_paths(settings: Settings) -> None:
    _check_overlay(settings.prefix_path)
    # As it was written: a Path has dropped what is odd about some.
    prefix = settings.prefix or str(settings.prefix_path)
    for name, path in (("state", settings.state), ("prefix", prefix), ("key", settings.key)):
        _check_plain(name, path)


def _check_overlay(prefix: Path) -> None:
    length = len(bytes(prefix))
    if length > LONGEST_PREFIX:
        raise ConfigError(
            f"prefix: {prefix} has {length} bytes, Darling's sockets allow {LONGEST_PREFIX}",
            hint="choose a shorter prefix or state",
        )
    if found := _OVERLAY_SEPARATORS & set(str(prefix)):
        raise ConfigError(
            f"prefix: {prefix} contains {' '.join(sorted(found))}, which overlayfs cannot take",
            hint="choose a prefix without a comma, a colon or a backslash",
        )


def _check_plain(name: str, path: str) -> None:
    if re.search(r"/(\.{0,2})(/|$)", path) and path != "/":
        raise ConfigError(
            f"{name}: {path} is not a plain path",
            hint="write it without «.», «..», a double slash or a slash at the end",
        )
    if odd := _PLAIN.sub("", path):
        raise ConfigError(
            f"{name}: {path} contains {odd[0]!r}, which ssh, Nix or systemd would read as something else",
            hint="choose a path of ASCII letters, digits and . _ + @ = ~ -",
        )


def _check_destinations(settings: Settings) -> None:
    _check_ours("state", Path(settings.state))
    _check_ours("prefix", settings.prefix_path)


def _check_ours(name: str, path: Path) -> None:
    homes = path.parent == Path("/home")
    if path in _SHARED or homes or any(path.is_relative_to(outer) for outer in _SYSTEM):
        raise ConfigError(
            f"{name}: {path} is not the builder's to own and to remove",
            hint="choose directories that serve nothing else, such as /srv/darling-builder/guest/prefix",
        )


def _check_prefix_against_state(settings: Settings) -> None:
    prefix, state = settings.prefix_path, Path(settings.state)
    if state.is_relative_to(prefix):
        raise ConfigError(
            f"prefix: {prefix} holds the state directory {state}: the guest could change the builder's own files",
            hint=f"leave prefix out, which gives {state}/guest/prefix",
        )
    for kept in Paths(settings).kept:
        if prefix.is_relative_to(kept):
            raise ConfigError(
                f"prefix: {prefix} lies where the builder keeps its {kept.name}",
                hint=f"leave prefix out, which gives {state}/guest/prefix",
            )


def _check_prefix_parent(settings: Settings) -> None:
    # The guest's user must be able to write it, and so it is given to them.
    parent, state = settings.prefix_path.parent, Path(settings.state)
    _check_ours("prefix: its parent", parent)
    if state.is_relative_to(parent):
        raise ConfigError(
            f"prefix: its parent {parent} holds the state directory, and has to belong to the guest's user",
            hint=f"give it a directory of its own, such as {state}/guest/prefix",
        )


def _check_key(settings: Settings) -> None:
    key, state = Path(settings.key), Path(settings.state)
    for owned in (settings.prefix_path.parent, state / "nix"):
        if key.is_relative_to(owned):
            raise ConfigError(
                f"key: {key} lies in {owned}, which belongs to the guest's user",
                hint="keep the private key where root alone can write, such as /etc/nix/darling-builder-key",
            )
    if key == state or any(key.is_relative_to(kept) for kept in Paths(settings).kept):
        raise ConfigError(
            f"key: {key} is the name of something else that the builder keeps",
            hint="choose another file name, such as /etc/nix/darling-builder-key",
        )


def _check_key_is_seen(settings: Settings) -> None:
    # serve, behind the unit's walls, is shown the directory of a key in a home, and with it every next key.
    key = Path(settings.key)
    if is_a_home(key.parent):
        raise ConfigError(
            f"key: {key} lies in {key.parent} itself, all of which the guest would have to be shown",
            hint=f"give it a directory of its own, such as /root/keys/{key.name}",
        )
    if is_temporary(key):
        raise ConfigError(
            f"key: {key} lies among temporary files, where the builder's service has its own",
            hint="keep the private key where it stays, such as /etc/nix/darling-builder-key",
        )


def _check_user(settings: Settings) -> None:
    reasons = {
        "root": "a guest that runs as root owns the host: all of it is at /Volumes/SystemRoot",
        "nobody": "every service that runs as nobody could reach the builder",
    }
    reason = reasons.get(settings.user)
    if re.fullmatch(r"nixbld\d*", settings.user):
        reason = "Nix kills every process of a build user after a build"
    if reason:
        raise ConfigError(
            f"user = {settings.user!r}: {reason}",
            hint="leave it out: «init» makes the system user darlingbuilder; or name another one of its own",
        )


def _check_free(settings: Settings) -> None:
    if bytes_of(settings.max_free) < bytes_of(settings.min_free):
        raise ConfigError(
            f"max_free ({settings.max_free}) is less than min_free ({settings.min_free})",
            hint="set max_free to the free space at which a garbage collection may end",
        )


def _check_store_size(settings: Settings) -> None:
    limit = bytes_of(settings.store_size)
    if limit and limit < bytes_of(_SMALLEST_STORE):
        raise ConfigError(
            f"store_size ({settings.store_size}) has no room for Nix and a build",
            hint=f"at least {_SMALLEST_STORE}; 0 is no limit",
        )
    if limit and bytes_of(settings.max_free) >= limit:
        raise ConfigError(
            f"max_free ({settings.max_free}) is more than store_size ({settings.store_size}) can have free",
            hint="garbage collection would never end: set min_free and max_free to a part of store_size",
        )


def _check_ports(settings: Settings) -> None:
    if settings.on_demand and settings.private_port == settings.port:
        raise ConfigError(
            f"private_port and port are both {settings.port}, and on_demand is true",
            hint="choose another private_port: systemd listens on the one, the guest's sshd on the other",
        )


def _check_nix(settings: Settings) -> None:
    nix = settings.nix
    chosen = list(_sources(nix))
    if len(chosen) > 1:
        raise ConfigError(
            f"nix.{chosen[0]} and nix.{chosen[1]} are both set", hint="keep one source of the guest's Nix"
        )
    if nix.tarball and not nix.sha256:
        raise ConfigError(
            "nix.tarball is set without nix.sha256",
            hint=f"add the hash that you trust; this file's own is printed by: sha256sum {nix.tarball}",
        )
    if nix.sha256 and not nix.tarball:
        raise ConfigError("nix.sha256 is set without nix.tarball", hint="set nix.tarball, or drop nix.sha256")
    if nix.version:
        compatibility.nix_path(nix.version)


def _sources(nix: NixSettings) -> Iterator[str]:
    return (name for name in ("package", "tarball", "version") if getattr(nix, name))


_PLACES: tuple[Callable[[Settings], None], ...] = (
    _check_paths,
    _check_destinations,
    _check_prefix_against_state,
    _check_prefix_parent,
    _check_key,
)
_CHECKS: tuple[Callable[[Settings], None], ...] = (
    _check_key_is_seen,
    _check_user,
    _check_free,
    _check_store_size,
    _check_ports,
    listen.refuse_odd,
    _check_nix,
)
