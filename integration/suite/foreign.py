"""Builders of somebody else beside ours: one that answers, one that answers otherwise, one that says nothing."""

import base64

from integration.suite.site import Site

ALIVE, FORCED, SILENT, OTHER = "ssh://root@alive", "ssh-ng://root@forced", "ssh://silent", "unix:///run/other"
PORTED = "ssh://root@127.0.0.1:2300"
_SSHD = """
Port 2300
ListenAddress 127.0.0.1
HostKey /etc/foreign/host
AuthorizedKeysFile /etc/foreign/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
"""
_ALIASES = """
Host alive
    HostName 127.0.0.1
    Port 2300
    HostKeyAlias alive
Host forced
    HostName 127.0.0.1
    Port 2300
    HostKeyAlias forced
Host silent
    HostName 127.0.0.1
    Port 2301
"""
# It takes the connection, and that is all.
_MUTE = "import socket, time; s = socket.create_server(('127.0.0.1', 2301)); time.sleep(3600)"


def furnish(site: Site) -> None:
    """Start an sshd on the machine itself, and tell Nix of it under three names, of a mute one and of a local one."""
    machine = site.machine
    machine.run("mkdir", "--parents", "/etc/foreign", "/run/sshd", "/root/.ssh")
    for name in ("host", "key", "forced"):
        machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/etc/foreign/{name}")
    key, forced = (site.file(f"/etc/foreign/{name}.pub").read_text() for name in ("key", "forced"))
    site.file("/etc/foreign/authorized_keys").write_text(f'{key}restrict,command="echo go away" {forced}')
    site.file("/etc/foreign/sshd_config").write_text(_SSHD)
    site.file("/root/.ssh/config").write_text(_ALIASES)
    # A locked account is refused where PAM is not asked.
    machine.run("usermod", "--password", "*", "root")
    machine.run("systemd-run", "--unit=foreign-sshd", "/usr/sbin/sshd", "-D", "-f", "/etc/foreign/sshd_config")
    machine.run("systemd-run", "--unit=foreign-mute", "python3", "-c", _MUTE)
    machine.run("sh", "-c", "until ss -Hltn | grep -q :2300 && ss -Hltn | grep -q :2301; do sleep 0.1; done")
    pinned = base64.b64encode(site.file("/etc/foreign/host.pub").read_bytes()).decode()
    lines = (
        f"{ALIVE} x86_64-linux,i686-linux /etc/foreign/key 4 2 big-parallel - {pinned}",
        f"{FORCED} aarch64-linux /etc/foreign/forced 2 1 - - {pinned}",
        f"{SILENT} riscv64-linux /etc/foreign/key 1",
        f"{OTHER} armv7l-linux",
        f"{PORTED} armv6l-linux /etc/foreign/key 1 1 - - {pinned}",
    )
    machines = site.file("/etc/nix/machines")
    before = machines.read_text() if machines.exists() else ""
    machines.write_text(before + "".join(f"{line}\n" for line in lines))
