"""Every file name that darlingbuilder uses, each written once."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.core.settings import Settings

UNIT = "darling-builder.service"
ALIAS = "darling-builder"

# Below the prefix. Spelled through /private, where they really lie: the guest's /etc is a link.
GUEST_ETC = Path("/private/etc/darlingbuilder")
SSHD_CONFIG = GUEST_ETC / "sshd_config"
HOST_KEY = GUEST_ETC / "ssh_host_ed25519_key"
AUTHORIZED_KEYS = GUEST_ETC / "authorized_keys"
SHIM = GUEST_ETC / "compat.dylib"
CA_BUNDLE = GUEST_ETC / "ca-bundle.crt"
NIX_CONF = Path("/private/etc/nix/nix.conf")
PASSWD = Path("/private/etc/passwd")
GUEST_NIX = Path("/nix")
GUEST_PROFILE = Path("/nix/var/nix/profiles/default")

# On the host.
SYSUSERS = Path("/etc/sysusers.d/darlingbuilder.conf")
TMPFILES = Path("/etc/tmpfiles.d/darlingbuilder.conf")
UNIT_FILE = Path("/etc/systemd/system") / UNIT
SSH_CONFIG = Path("/etc/ssh/ssh_config")
# Read where SSH_CONFIG is absent, by distributions that keep /etc for the administrator (openSUSE).
VENDOR_SSH_CONFIG = Path("/usr/etc/ssh/ssh_config")
SSH_ALIAS = Path("/etc/ssh/ssh_config.d/darling-builder.conf")
NIX_MACHINES = Path("/etc/nix/machines")
OUR_MACHINES = Path("/etc/nix/darling-builder.machines")
NIX_LOAD = Path("/nix/var/nix/current-load")
HOST_NIX_CONF = Path("/etc/nix/nix.conf")
LOCK = Path("/run/darlingbuilder.lock")
# Sockets of ssh's ControlMaster: a directory that root alone may enter.
CONTROL_SOCKETS = Path("/run/darlingbuilder-ssh")


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
    def image(self) -> Path:
        """The file system that limits the guest's store, if ``store_size`` asks for one."""
        return self.state / "nix.img"

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
    def boot_log(self) -> Path:
        """What the container's boot and its sshd print."""
        return self.state / "guest.log"


def public_half(key: Path) -> Path:
    """Name the file of the public key that belongs to the private ``key``."""
    return key.with_name(f"{key.name}.pub")
