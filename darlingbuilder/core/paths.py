"""Every file name that darlingbuilder uses, each written once."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.settings import Settings

# The host's Nix, by the names that all of its distributions use; Lix has a daemon for each connection.
NIX_DAEMON = "nix-daemon.service"
NIX_DAEMON_SOCKET = "nix-daemon.socket"
NIX_DAEMONS = (NIX_DAEMON, "nix-daemon@*.service")

# Below the prefix. Spelled through /private, where they really lie: the guest's /etc is a link.
GUEST_ETC = Path("/private/etc/darlingbuilder")
SSHD_CONFIG = GUEST_ETC / "sshd_config"
HOST_KEY = GUEST_ETC / "ssh_host_ed25519_key"
AUTHORIZED_KEYS = GUEST_ETC / "authorized_keys"
SHIM = GUEST_ETC / "compat.dylib"
CA_BUNDLE = GUEST_ETC / "ca-bundle.crt"
NIX_CONF = Path("/private/etc/nix/nix.conf")
# What each start finds out for that file.
NIX_STORE_CONF = NIX_CONF.with_name("store.conf")
PASSWD = Path("/private/etc/passwd")
GUEST_NIX = Path("/nix")
# In the guest, and on the host.
STORE = Path("/nix/store")
# What lies in the guest's /nix without the host's store laid under it: its own Nix collects garbage by
# «--store local?root=», where nothing but its own paths is to be seen.
GUEST_OWN = GUEST_ETC / "own"
GUEST_OWN_NIX = GUEST_OWN / "nix"
# The host's files as the guest sees them.
SYSTEM_ROOT = Path("/Volumes/SystemRoot")
GUEST_PROFILE = Path("/nix/var/nix/profiles/default")

# On the host.
SSH_CONFIG = Path("/etc/ssh/ssh_config")
# Read where SSH_CONFIG is absent, by distributions that keep /etc for the administrator (openSUSE).
VENDOR_SSH_CONFIG = Path("/usr/etc/ssh/ssh_config")
NIX_MACHINES = Path("/etc/nix/machines")
NIX_LOAD = Path("/nix/var/nix/current-load")
HOST_NIX_CONF = Path("/etc/nix/nix.conf")
# Held for a moment by who changes what all builders of this host share.
SHARED_LOCK = Path("/run/darlingbuilder-shared.lock")
# What Determinate's nix.conf includes, which its daemon writes anew, and that of its installer.
NIX_CUSTOM_CONF = HOST_NIX_CONF.with_name("nix.custom.conf")


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that follow from the settings."""

    settings: Settings

    @property
    def state(self) -> Path:
        """Everything that the builder keeps; root's."""
        return Path(self.settings.state)

    @property
    def marker(self) -> Path:
        """The one file that says that the prefix is ours."""
        return self.state / "builder.json"

    @property
    def prefix(self) -> Path:
        """The Darling prefix."""
        return self.settings.prefix_path

    @property
    def workdir(self) -> Path:
        """The overlay's work directory, which Darling puts beside the prefix."""
        return self.prefix.with_name(f"{self.prefix.name}.workdir")

    @property
    def nix(self) -> Path:
        """The guest's /nix; the service user's."""
        return self.state / "nix"

    @property
    def store(self) -> Path:
        """The guest's own store paths; with ``store = "overlay"`` the upper layer over the host's."""
        return self.nix / "store"

    @property
    def overlay_work(self) -> Path:
        """The work directory of that overlay, which has to lie on the file system of its upper layer; root's."""
        return self.nix / ".overlay"

    @property
    def image(self) -> Path:
        """The file system that limits the guest's store, if ``store_size`` asks for one."""
        return self.state / "nix.img"

    @property
    def unfinished_image(self) -> Path:
        """That file system while it is made."""
        return self.image.with_name(f"{self.image.name}.new")

    @property
    def growing_image(self) -> Path:
        """There while the file is larger than the file system in it."""
        return self.image.with_name(f"{self.image.name}.growing")

    @property
    def filling(self) -> Path:
        """Where the store lies while it goes into that file system, or out of it."""
        return self.state / "nix.filling"

    @property
    def pristine(self) -> Path:
        """The guest's Nix as it came from outside, where only root can change it."""
        return self.state / "pristine"

    @property
    def exchange(self) -> Path:
        """What an exchange of prefix or store has still to do."""
        return self.state / "exchange.json"

    @property
    def staging(self) -> Path:
        """Where a prefix or a store is made ready that will take the place of another."""
        return self.state / "staging"

    @property
    def snapshots(self) -> Path:
        """The snapshots of prefix and store; root's alone, for the guest's host key is in them."""
        return self.state / "snapshots"

    @property
    def key(self) -> Path:
        """The host's private key for the builder."""
        return Path(self.settings.key)

    @property
    def host_key(self) -> Path:
        """The private host key of the guest's sshd, from which the prefix gets its copy."""
        return self.state / "keys" / "ssh_host_ed25519_key"

    @property
    def known_hosts(self) -> Path:
        """The guest's public host key under its alias, for ssh on the host."""
        return self.state / "known_hosts"

    @property
    def clients(self) -> Path:
        """The public keys of other machines that may build here, each by its client's name."""
        return self.state / "clients"

    @property
    def last_test(self) -> Path:
        """How the last ``test`` ended, and when."""
        return self.state / "last-test.json"

    @property
    def failures(self) -> Path:
        """How often the builder has failed in a row, and whether it is out of service for that."""
        return self.state / "failures.json"

    @property
    def machines(self) -> Path:
        """The builder's line for Nix, where the system's own configuration includes it (``register = false``)."""
        return self.state / "machines"

    @property
    def boot_log(self) -> Path:
        """What the container's boot and its sshd print."""
        return self.state / "guest.log"

    @property
    def kept(self) -> tuple[Path, ...]:
        """All that the builder keeps directly below ``state``: nobody else's place."""
        return (
            self.marker, self.exchange, self.boot_log, self.host_key.parent, self.known_hosts, self.clients,
            self.last_test, self.failures,
            self.machines, self.nix, self.filling, self.image, self.growing_image, self.unfinished_image,
            self.pristine, self.snapshots, self.staging,
        )  # fmt: skip


def public_half(key: Path) -> Path:
    """Name the file of the public key that belongs to the private ``key``."""
    return key.with_name(f"{key.name}.pub")


def next_of(key: Path) -> Path:
    """Name the file of the private key that is about to take the place of the private ``key``."""
    return key.with_name(f"{key.name}.next")


def straight(path: Path) -> Path:
    """Give ``path`` without a link on the way to it, as the kernel has it in its tables.

    The last name stays as it is: it may be in the hands of the guest's user, who could make it a link to anything.
    """
    return path.parent.resolve() / path.name
