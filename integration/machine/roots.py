"""The Debian roots from which machines and guests are made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from .cache import cached, digest
from .commands import run
from .mirror import source

Suite = Literal["trixie", "sid"]
SUITES: tuple[Suite, ...] = get_args(Suite)

# To be raised when anything below changes what a root contains.
RECIPE = "3"

PACKAGES = (
    # the machine
    "ca-certificates", "dbus", "iproute2", "mount", "procps", "systemd", "systemd-sysv", "util-linux",
    # Nix with its daemon, build users and units
    "nix-bin", "nix-setup-systemd",
    # the client is the machine's; the server is for guests made from the same root
    "openssh-client", "openssh-server",
    "xz-utils", "zstd",
    # darlingbuilder and what it imports, as a distribution's user would have it
    "python3", "python3-pip", "python3-venv",
    "python3-cryptography", "python3-jinja2", "python3-msgspec", "python3-plumbum", "python3-pystemd",
    "python3-prometheus-client", "python3-rich", "python3-structlog",
)  # fmt: skip

# What a machine under test has no use for: it would slow the boot, want devices, or change files by itself.
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "console-getty.service", "dpkg-db-backup.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty.target", "ldconfig.service",
    "ssh.service", "ssh.socket", "sshd-unix-local.socket", "sshd-vsock.socket",
    "systemd-firstboot.service", "systemd-homed.service", "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service", "systemd-journal-flush.service",
    "systemd-logind.service", "systemd-networkd.service", "systemd-networkd.socket",
    "systemd-pcrphase.service", "systemd-pstore.service", "systemd-random-seed.service",
    "systemd-resolved.service", "systemd-timesyncd.service", "systemd-tmpfiles-clean.timer",
    "systemd-udev-trigger.service", "systemd-udevd.service", "systemd-update-done.service",
    "systemd-update-utmp.service",
    # the real kernel's
    "dev-hugepages.mount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-modules-load.service",
)  # fmt: skip

NIX_CONF = """\
# A host of its own: no binary cache can be reached, root alone is trusted, builds run as nixbld users.
experimental-features = nix-command
build-users-group = nixbld
trusted-users = root
substituters =
# The machine is made of namespaces already; nesting Nix's into them tests the kernel, not us.
sandbox = false
"""

JOURNALD_CONF = """\
[Journal]
# In memory, so that the disk changes only by what is under test.
Storage=volatile
# Every line counts when a test fails.
RateLimitIntervalSec=0
"""

NIX_TMPFILES = """\
# Debian's own file says 1777 for per-user/, and Nix sets it to 0755 whenever it opens the store: left alone,
# two snapshots of the disk differ by which of the two came last.
d  /nix/var/nix/daemon-socket 770 root nix-users
e! /nix/var/nix/daemon-socket - - - 0
"""


def debian_root(suite: Suite) -> Path:
    """Return a read-only Debian tree of the suite; the first call takes about a minute."""
    return cached("roots", f"{suite}-{_ingredients(suite)}", lambda directory: _bootstrap(suite, directory))


def _ingredients(suite: Suite) -> str:
    return digest(RECIPE, suite, *PACKAGES, *MASKED, NIX_CONF, NIX_TMPFILES, JOURNALD_CONF)


def _source(suite: Suite) -> str:
    # sid's Release file carries a date of expiry that a mirror's snapshot outlives.
    return source(suite, options="check-valid-until=no" if suite == "sid" else "")


def _bootstrap(suite: Suite, directory: Path) -> None:
    # Done now, so that a machine's disk is the same before and after Nix is first used.
    bootstrap(directory, suite, _source(suite), PACKAGES, '--customize-hook=chroot "$1" nix-store --init')
    _write(directory / "etc/nix/nix.conf", NIX_CONF)
    _write(directory / "etc/tmpfiles.d/nix-daemon.conf", NIX_TMPFILES)


def bootstrap(directory: Path, suite: str, archive: str, packages: Sequence[str], *options: str) -> None:
    """Make a Debian tree that boots as a machine, of the essential packages and ``packages``."""
    run(
        (
            "mmdebstrap",
            "--quiet", "--mode=root", "--variant=apt",
            f"--include={','.join(packages)}",
            '--aptopt=Acquire::Languages "none"',
            # The tree is copied, hashed and compared for every test: manuals would only slow that down.
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            *options,
            suite, str(directory), archive,
        ),
        timeout=900,
    )  # fmt: skip
    directory.chmod(0o755)
    _make_anonymous(directory)
    _quieten(directory)


def _make_anonymous(root: Path) -> None:
    """Remove what would make two machines of one root the same individual."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("machine\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost machine\n::1 localhost\n")
    # mmdebstrap copies the host's.
    (root / "etc/resolv.conf").unlink(missing_ok=True)


def _quieten(root: Path) -> None:
    units = root / "etc/systemd/system"
    for name in MASKED:
        unit = units / name
        unit.unlink(missing_ok=True)
        unit.symlink_to("/dev/null")
    _write(root / "etc/systemd/journald.conf.d/machine.conf", JOURNALD_CONF)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
