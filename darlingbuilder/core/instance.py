"""What a builder has of its own on the host, named after it: its units, its alias, its files."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT = "default"
# Of 13 characters at most: a user's name, a prefix of 78 bytes, and no «out-of-service», which is said of the others.
NAME = r"[a-z]([a-z0-9-]{0,11}[a-z0-9])?"
UNITS = Path("/etc/systemd/system")
SETTINGS = Path("/etc/darlingbuilder")
STATES = Path("/var/lib")
# Each with a port of its own and one for its sshd: below those that the kernel gives to whoever connects.
FIRST_PORT, PORT_PAIRS = 22000, 5000


@dataclass(frozen=True, slots=True)
class Instance:
    """One of the builders of a host, by its ``name``; the one that most hosts have alone is DEFAULT.

    What the service manager names has «@NAME» where systemd would look for it, everything else «-NAME». An «@» keeps
    the name apart from what stands before it: «metrics» is a name that anybody may choose.
    """

    name: str = DEFAULT

    @property
    def defaults(self) -> Mapping[str, str | int]:
        """The settings that two builders cannot share; of DEFAULT, they are those of everybody.

        The ports follow from the name, so that they are the same wherever it is used, and at each time.
        """
        if self.name == DEFAULT:
            return {}
        port = FIRST_PORT + 2 * (zlib.crc32(self.name.encode()) % PORT_PAIRS)
        return {
            "port": port,
            "private_port": port + 1,
            "key": f"/etc/nix/{self.alias}-key",
            "state": str(STATES / self.alias),
            "user": f"darlingbuilder{self._dash}",
        }

    @property
    def settings_file(self) -> Path:
        """What its settings are read from, if no other file is named."""
        return SETTINGS / ("config.toml" if self.name == DEFAULT else f"instances/{self.name}.toml")

    @property
    def title(self) -> str:
        """What is put behind the description of a unit, where there may be several."""
        return "" if self.name == DEFAULT else f" ({self.name})"

    @property
    def unit(self) -> str:
        """The service itself."""
        return f"darling-builder{self._at}.service"

    @property
    def socket(self) -> str:
        """The port of a builder on demand."""
        return f"darling-builder{self._at}.socket"

    @property
    def proxy(self) -> str:
        """The way from there to the guest's sshd."""
        return f"darling-builder-proxy{self._at}.service"

    @property
    def metrics_service(self) -> str:
        """What writes the metrics once."""
        return f"darling-builder-metrics{self._at}.service"

    @property
    def metrics_timer(self) -> str:
        """What has them written again and again."""
        return f"darling-builder-metrics{self._at}.timer"

    @property
    def alias(self) -> str:
        """The host by which ssh and Nix know the builder."""
        return f"darling-builder{self._dash}"

    @property
    def out_of_service(self) -> str:
        """A machine that nobody reaches: its name is what Nix says while the builder is out of service."""
        return f"{self.alias}-out-of-service"

    @property
    def unit_file(self) -> Path:
        """The file of ``unit``."""
        return UNITS / self.unit

    @property
    def socket_file(self) -> Path:
        """The file of ``socket``."""
        return UNITS / self.socket

    @property
    def proxy_file(self) -> Path:
        """The file of ``proxy``."""
        return UNITS / self.proxy

    @property
    def metrics_service_file(self) -> Path:
        """The file of ``metrics_service``."""
        return UNITS / self.metrics_service

    @property
    def metrics_timer_file(self) -> Path:
        """The file of ``metrics_timer``."""
        return UNITS / self.metrics_timer

    @property
    def ssh_alias(self) -> Path:
        """The ssh_config of ``alias``."""
        return Path(f"/etc/ssh/ssh_config.d/{self.alias}.conf")

    @property
    def machines(self) -> Path:
        """The builder's line for Nix, where we register it."""
        return Path(f"/etc/nix/{self.alias}.machines")

    @property
    def host_roots(self) -> Path:
        """Links to what the guest's own store paths need of the host's."""
        return Path(f"/nix/var/nix/gcroots/{self.alias}")

    @property
    def sysusers(self) -> Path:
        """The description of the user that the guest runs as."""
        return Path(f"/etc/sysusers.d/darlingbuilder{self._dash}.conf")

    @property
    def lock(self) -> Path:
        """Held by whoever changes the builder."""
        return Path(f"/run/darlingbuilder{self._at}.lock")

    @property
    def keys_lock(self) -> Path:
        """Who replaces keys holds this one all the time, and ``lock`` only while files change."""
        return Path(f"/run/darlingbuilder-keys{self._at}.lock")

    @property
    def walled(self) -> Path:
        """Root's alone, and there while the unit runs: where its walls show serve, not the guest, Nix's database."""
        return Path(f"/run/darlingbuilder-host{self._at}")

    @property
    def walled_database(self) -> Path:
        """The database of the host's Nix, as serve sees it."""
        return self.walled / "db"

    @property
    def trial(self) -> str:
        """How the names of files begin that are tried in a store, for a moment."""
        return f".darlingbuilder{self._dash}-"

    @property
    def _at(self) -> str:
        return "" if self.name == DEFAULT else f"@{self.name}"

    @property
    def _dash(self) -> str:
        return "" if self.name == DEFAULT else f"-{self.name}"
