"""Makes the tree that the guest sees: Debian programs in the clothes of Darling's lower layer."""

import shutil
from pathlib import Path

from integration.machine.cache import cached, digest, discard
from integration.machine.commands import run
from integration.machine.mirror import source

from .compiler import compile_program, source_text

FILES = Path(__file__).with_name("files")

# A root of its own and not the machine's: no systemd, no Nix, no Python may be within the guest's reach.
PACKAGES = (
    "ca-certificates", "curl", "openssh-client", "openssh-server", "procps", "rsync", "xz-utils",
)  # fmt: skip

# Programs that a Darling guest lacks, by FACTS.md or because no macOS has them: whoever calls one in the
# guest must fail here already.
ABSENT = (
    "[", "base64", "git", "lsof", "mount", "perl", "python", "python3", "setsid", "sha1sum", "shasum", "su",
    "adduser", "chpasswd", "getent", "groupadd", "groupmod", "ip", "md5sum", "nproc", "nsenter", "runuser",
    "sha224sum", "sha256sum", "sha384sum", "sha512sum", "setpriv", "ss", "timeout", "umount", "unshare",
    "useradd", "userdel", "usermod", "apt", "apt-cache", "apt-get", "apt-key", "dpkg", "dpkg-query",
)  # fmt: skip
PROGRAM_DIRECTORIES = ("usr/bin", "usr/sbin", "usr/local/bin")

# Nothing in a guest reads these, and the first boot of each prefix copies up every directory.
PRUNED = (
    "boot", "dev", "home", "media", "mnt", "opt", "run", "srv", "sys", "usr/games", "usr/include",
    "usr/lib/apt", "usr/lib/dpkg", "usr/lib/systemd", "usr/lib/udev", "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl-base", "usr/share/bash-completion", "usr/share/doc", "usr/share/info",
    "usr/share/locale", "usr/share/man", "usr/share/perl5", "usr/share/zoneinfo",
)  # fmt: skip

EMPTY_DIRECTORIES = (
    "Applications", "Library", "System/Library", "Users", "Volumes/SystemRoot", "private/tmp", "private/var/db",
    "private/var/empty", "private/var/log", "private/var/root", "proc", "sbin", "usr/local/bin",
)  # fmt: skip

# Link by target. /var is one here, too, but a prefix that the launcher sets up hides it with a directory.
LINKS = {
    "dev": "Volumes/SystemRoot/dev",
    "etc": "private/etc",
    "tmp": "private/tmp",
    "var": "private/var",
    "bin/sh": "bash",
    "private/etc/resolv.conf": "/Volumes/SystemRoot/etc/resolv.conf",
    "usr/libexec/sftp-server": "../lib/openssh/sftp-server",
}

# Accounts come from the launcher, with the first boot of a prefix; a shadow file would contradict them.
ACCOUNT_FILES = ("group", "group-", "gshadow", "gshadow-", "passwd", "passwd-", "shadow", "shadow-")

WORLD_WRITABLE = 0o1777

# What every guest process is preloaded with, and the sources of each; DEFECTS is what a mended Darling does not have.
DEFECTS = {
    "usr/lib/libdefects.so": ("defects.c",),
    "usr/lib/libsignals.so": ("signals.c",),
}
LIBRARIES = {
    "usr/lib/libsystem.so": ("libsystem.c",),
    "usr/lib/libdyld.so": ("dyld.c", "macho.c"),
    **DEFECTS,
}
PRELOAD = "private/etc/ld.so.preload"


def guest_root() -> Path:
    """Return the guest's lower layer; the first call takes about half a minute."""
    own = "".join(path.read_text() for path in (Path(__file__), *sorted(FILES.rglob("*"))) if path.is_file())
    return cached("guest", digest(own, source_text()), lambda directory: _dress(_debian(), directory))


def _debian() -> Path:
    def bootstrap(directory: Path) -> None:
        packages = f"--include={','.join(PACKAGES)}"
        run(
            (
                "mmdebstrap",
                "--quiet", "--mode=root", "--variant=apt", packages,
                "trixie", str(directory), source("trixie"),
            ),
            timeout=900,
        )  # fmt: skip

    return cached("roots", f"guest-{digest(*PACKAGES)}", bootstrap)


def _dress(debian: Path, guest: Path) -> None:
    run(("cp", "--archive", "--reflink=auto", f"{debian}/.", str(guest)), timeout=300)
    guest.chmod(0o755)
    for name in PRUNED:
        discard(guest / name)
    _remove_programs(guest)
    _turn_into_darwin(guest)
    _add_own_programs(guest)


def _remove_programs(guest: Path) -> None:
    for directory in PROGRAM_DIRECTORIES:
        for program in (guest / directory).glob("*"):
            if program.name in ABSENT or program.name.startswith(("perl5", "python3.")):
                program.unlink()


def _turn_into_darwin(guest: Path) -> None:
    """Move what Debian keeps in /etc and /var to where Darling's lower layer has it."""
    for key in (guest / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ACCOUNT_FILES:
        (guest / "etc" / name).unlink(missing_ok=True)
    (guest / "private").mkdir()
    (guest / "etc").rename(guest / "private/etc")
    for name in ("tmp", "var"):
        discard(guest / name)
    for name in EMPTY_DIRECTORIES:
        (guest / name).mkdir(parents=True, exist_ok=True)
    (guest / "private/tmp").chmod(WORLD_WRITABLE)
    for name, target in LINKS.items():
        (guest / name).unlink(missing_ok=True)
        (guest / name).parent.mkdir(parents=True, exist_ok=True)
        (guest / name).symlink_to(target)


def _add_own_programs(guest: Path) -> None:
    shutil.copytree(FILES, guest, symlinks=True, dirs_exist_ok=True)
    # static: as pid 1 and as supervisor of commands it must not have what libsystem.so gives to everyone
    compile_program(guest / "sbin/launchd", "launchd.c", flags=("-static",))
    for library, sources in LIBRARIES.items():
        compile_program(guest / library, *sources, flags=("-shared", "-fPIC"))
    (guest / PRELOAD).write_text(preload(*LIBRARIES))


def preload(*libraries: str) -> str:
    """Write the guest's list of the libraries that are loaded into every process of it."""
    return "".join(f"/{library}\n" for library in libraries)
