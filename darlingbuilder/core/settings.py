"""The declaration of every setting: its type, bounds, default and help, each written once."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from darlingbuilder.core import instance, storepath
from darlingbuilder.core.instance import Instance

Port = Annotated[int, Meta(ge=1024, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1024)]
Seconds = Annotated[int, Meta(ge=1, le=86400)]
# «\Z», for «$» would let a newline at the end pass. No surrogates: they stand for bytes that are no UTF-8.
_PATH = r"/[^\x00-\x1f\x7f\ud800-\udfff]*"
Size = Annotated[str, Meta(pattern=r"^[0-9]{1,15}[KMGT]?\Z")]
Feature = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._+-]+\Z")]
AbsolutePath = Annotated[str, Meta(pattern=rf"^{_PATH}\Z")]
MaybePath = Annotated[str, Meta(pattern=rf"^({_PATH})?\Z")]
MaybeTextfile = Annotated[str, Meta(pattern=rf"^({_PATH}/[^/\x00-\x1f\x7f\ud800-\udfff]*\.prom)?\Z")]
StorePath = Annotated[str, Meta(pattern=rf"^({storepath.PATTERN})?\Z")]
Version = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)+)?\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
# What systemd takes for memory: a share of the machine's, a size, or no limit.
MemoryLimit = Annotated[str, Meta(pattern=r"^((100|[1-9][0-9]?)%|[1-9][0-9]{0,14}[KMGT]?|infinity)\Z")]
CpuQuota = Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,5}%)?\Z")]
InstanceName = Annotated[str, Meta(pattern=rf"^{instance.NAME}\Z")]
IpAddress = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:.]{2,45}\Z")]
UserName = Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_-]{0,30}\Z")]


class NixSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the guest's Nix comes from: exactly one of package, tarball and version."""

    package: Annotated[
        StorePath,
        Meta(description="store path of an x86_64-darwin Nix; the host's Nix fetches and checks it"),
    ] = ""
    tarball: Annotated[MaybePath, Meta(description="an unpacked-on-install release tarball of Nix")] = ""
    sha256: Annotated[Sha256, Meta(description="SHA-256 of nix.tarball, 64 hexadecimal digits")] = ""
    version: Annotated[Version, Meta(description="a version of Nix whose x86_64-darwin store path is known")] = ""
    cacert: Annotated[
        StorePath,
        Meta(description="store path of the CA bundle for the guest; default: nix's, or the host's"),
    ] = ""


class LimitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the builder, with all its builds, may take of the machine; systemd.resource-control(5) has the details."""

    cpu_quota: Annotated[CpuQuota, Meta(description="processor time, 200% being two processors; unset: all")] = ""
    memory_max: Annotated[
        MemoryLimit,
        Meta(description="memory beyond which its processes are killed: a size, a share of the machine's, infinity"),
    ] = "90%"
    tasks_max: Annotated[int, Meta(ge=0, le=4194304, description="processes and threads; 0: systemd's own limit")] = 0
    oom_score_adjust: Annotated[
        int, Meta(ge=-1000, le=1000, description="whom the kernel kills first when memory runs out: the highest")
    ] = 500
    io_weight: Annotated[int, Meta(ge=1, le=10000, description="share of the disks; others have 100")] = 100
    nice: Annotated[int, Meta(ge=-20, le=19, description="priority on the processors; 19 yields to everything")] = 0


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a user may choose."""

    instance: Annotated[
        InstanceName,
        Meta(description="which of several builders of this host; each has its own units, files and defaults"),
    ] = instance.DEFAULT
    port: Annotated[Port, Meta(description="TCP port of the builder")] = 2222
    listen: Annotated[
        list[IpAddress],
        Meta(description="addresses on which the builder takes connections, besides 127.0.0.1, which it always does"),
    ] = field(default_factory=lambda: ["127.0.0.1"])
    max_jobs: Annotated[
        Count | Literal["auto"], Meta(description="builds at once; auto: the number of processors")
    ] = 4
    speed_factor: Annotated[Count, Meta(description="preference over other builders of the same system")] = 1
    supported_features: Annotated[list[Feature], Meta(description="system features that this builder offers")] = []
    mandatory_features: Annotated[
        list[Feature], Meta(description="system features that a derivation must ask for to be built here")
    ] = []
    key: Annotated[AbsolutePath, Meta(description="the host's private ssh key for the builder")] = (
        "/etc/nix/darling-builder-key"
    )
    state: Annotated[AbsolutePath, Meta(description="directory of everything that the builder keeps")] = (
        "/var/lib/darling-builder"
    )
    prefix: Annotated[
        MaybePath, Meta(description="the Darling prefix, at most 78 bytes; default: guest/prefix below state")
    ] = ""
    user: Annotated[UserName, Meta(description="system user that the guest runs as")] = "darlingbuilder"
    darling: Annotated[
        MaybePath, Meta(description="the launcher; default: found on PATH or in /run/wrappers/bin")
    ] = ""
    store: Annotated[
        Literal["copy", "overlay", "symlink"],
        Meta(
            description="the guest's store: its own alone, over the host's as an overlay, or the host's by a link "
            "to run programs from, without builds"
        ),
    ] = "copy"
    store_validity: Annotated[
        Literal["auto", "local-overlay", "registration"],
        Meta(
            description="with store overlay, how the guest's Nix learns what of the host's store is valid: it asks "
            "the host's Nix, or is told by registration; auto: the first that works"
        ),
    ] = "auto"
    cores: Annotated[int, Meta(ge=0, le=1024, description="processors that one build may use; 0: all of them")] = 0
    min_free: Annotated[Size, Meta(description="free space below which the guest's garbage is collected")] = "0"
    max_free: Annotated[Size, Meta(description="free space at which that garbage collection ends")] = "0"
    store_size: Annotated[
        Size, Meta(description="most that the guest's store may take, in a file system of its own; 0: no limit")
    ] = "0"
    protocol: Annotated[Literal["ssh-ng", "ssh"], Meta(description="how the host's Nix speaks to the builder")] = (
        "ssh-ng"
    )
    register: Annotated[
        bool, Meta(description="register the builder with the host's Nix; NixOS does that itself")
    ] = True
    install_unit: Annotated[
        bool, Meta(description="install the systemd unit and enable it; NixOS does that itself")
    ] = True
    compat: Annotated[
        Literal["auto", "always", "never"],
        Meta(description="corrections of a stock Darling's defects: of those that each start finds, of all, none"),
    ] = "auto"
    compat_builds: Annotated[
        bool, Meta(description="carry these corrections on into builds, not only to sshd and Nix")
    ] = True
    ephemeral: Annotated[
        bool, Meta(description="begin every start with a new prefix, and with a store that holds Nix alone")
    ] = False
    nofile: Annotated[
        int,
        Meta(ge=64, le=1048576, description="soft limit of open files; Nix closes each one before a build"),
    ] = 256
    boot_timeout: Annotated[
        Seconds, Meta(description="seconds that one boot of the container, or one answer of its Nix, may take")
    ] = 60
    grace: Annotated[Seconds, Meta(description="seconds that running builds get when the builder stops")] = 600
    health_interval: Annotated[
        int, Meta(ge=0, le=86400, description="seconds between two trials of a session in the guest; 0: none")
    ] = 180
    breaker: Annotated[
        bool,
        Meta(description="take a builder that fails again and again out of service for Nix, until it serves"),
    ] = True
    on_demand: Annotated[
        bool, Meta(description="start the builder with the first connection to the port, instead of at boot")
    ] = False
    idle_timeout: Annotated[
        int,
        Meta(
            ge=0,
            le=86400,
            description="with on_demand, seconds without a connection after which a builder that nothing needs is "
            "stopped; 0: never",
        ),
    ] = 0
    private_port: Annotated[
        Port, Meta(description="with on_demand, TCP port of the guest's sshd; systemd has the other one")
    ] = 2223
    metrics_textfile: Annotated[
        MaybeTextfile,
        Meta(description="where a timer puts metrics for node_exporter, a name that ends in .prom; default: nowhere"),
    ] = ""
    nix: Annotated[NixSettings, Meta(description="the guest's Nix")] = NixSettings()
    limits: Annotated[LimitSettings, Meta(description="what the builder may take")] = LimitSettings()

    @property
    def names(self) -> Instance:
        """What is named after the builder; Paths has what lies where the settings say."""
        return Instance(self.instance)

    @property
    def prefix_path(self) -> Path:
        """The Darling prefix, as chosen or below ``state``."""
        return Path(self.prefix or f"{self.state}/guest/prefix")

    @property
    def sshd_port(self) -> int:
        """Where the guest's sshd itself listens; with ``on_demand`` that is not where one connects."""
        return self.private_port if self.on_demand else self.port

    @property
    def guest_nix(self) -> bool:
        """Whether the guest has a Nix of its own, without which nothing is built."""
        return self.store != "symlink"

    @property
    def shares_store(self) -> bool:
        """Whether the guest has the host's store laid under its own."""
        return self.store == "overlay"


def bytes_of(size: str) -> int:
    """Give ``size`` («512», «10G», powers of 1024) in bytes."""
    factor = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(size[-1:], 1)
    return int(size.rstrip("KMGT")) * factor
