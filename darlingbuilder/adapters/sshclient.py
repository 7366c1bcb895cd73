"""OpenSSH's client on the host: commands through an alias, and the key that a server proves to hold."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import TIMED_OUT, Completed, Running, Start
from darlingbuilder.core.machines import Machine

_SECONDS_TO_EXIT = 5
_SECONDS_TO_CONNECT = 20
_ADDRESS = "127.0.0.1"
# What ssh gives where it fails itself.
_FAILED = 255
# What ssh prints here once a login has succeeded, where it is asked to, as Nix does.
STARTED = "started"


@dataclass(frozen=True, slots=True)
class Client:
    """ssh to ``host``, an alias, with ``options`` before it."""

    host: str
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *command: str, timeout: float) -> Completed:
        """Run a command there. Its status is 255 where ssh itself fails."""
        return process.run(
            *self._argv(command), start=Start(environment=self.environment), timeout=timeout, check=False
        )

    def begin(self, *command: str, log: IO[bytes]) -> Running:
        """Start a command there, whose output and errors go to ``log``, and do not wait for it."""
        return process.spawn(*self._argv(command), start=Start(environment=self.environment), log=log)

    def _argv(self, command: Sequence[str]) -> tuple[str, ...]:
        return ("ssh", *self.options, "-x", self.host, "--", *command)

    def effective(self) -> dict[str, str]:
        """Give the options in force for the alias, by lower-case name; of a repeated one the last."""
        printed = process.run("ssh", *self.options, "-G", self.host, timeout=_SECONDS_TO_EXIT).stdout
        return dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)


@dataclass(frozen=True, slots=True)
class Login:
    """Where an sshd in a guest is reached, and as whom; ``known_hosts`` pins its key under the name ``alias``."""

    user: str
    port: int
    key: Path
    known_hosts: Path
    alias: str
    address: str = _ADDRESS

    @property
    def client(self) -> Client:
        """Ssh by this login alone: of this machine's own configuration, agents and keys it heeds nothing."""
        options = {
            "Port": self.port,
            "User": self.user,
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "BatchMode": "yes",
            "HostKeyAlias": self.alias,
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": os.devnull,
            "ConnectTimeout": _SECONDS_TO_CONNECT,
        }
        return Client(self.address, ("-F", "none", *(f"-o{name}={value}" for name, value in options.items())))


def host_key(port: int, *, timeout: float) -> str | None:
    """Give the ed25519 key that the server on ``port`` proves to hold, as «type base64»; None if it has none."""
    printed = process.run(
        "ssh-keyscan",
        "-T", str(max(1, int(timeout))),
        "-t", "ed25519",
        "-p", str(port),
        _ADDRESS,
        timeout=timeout + 1,
        check=False,
    ).stdout  # fmt: skip
    for line in printed.splitlines():
        words = line.split()
        if not line.startswith("#") and len(words) > 2:  # noqa: PLR2004 - host, type, key
            return " ".join(words[1:3])
    return None


def as_nix(machine: Machine, scratch: Path) -> Client:
    """Give ssh to ``machine`` as Nix calls it (libstore/ssh.cc), with the key and the pinned host key of its line.

    A connection that its owner has ssh keep is used, as Nix would use it, but none is kept for our sake.
    """
    place = machine.place
    if place is None:
        raise ValueError(f"{machine.uri}: not reached by ssh")
    options = ["-oBatchMode=yes", "-oControlMaster=no", *(("-i", machine.login_key) if machine.login_key else ())]
    if machine.pinning:
        known_hosts = scratch / "known_hosts"
        known_hosts.write_text(f"{place.host} {machine.pinning.rstrip()}\n")
        options.append(f"-oUserKnownHostsFile={known_hosts}")
    if place.port:
        options.append(f"-p{place.port}")
    # Neither an agent nor a terminal of whoever calls us is there for the daemon.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "SHELL": "/bin/sh", "LANG": "C.UTF-8"}
    options += ["-oPermitLocalCommand=yes", f"-oLocalCommand=echo {STARTED}"]
    return Client(f"{place.user}@{place.host}" if place.user else place.host, options, environment=environment)


def logged_in(said: Completed) -> bool:
    """Whether what ``as_nix`` ran got as far as a session: ssh says so, or did not fail itself."""
    return said.stdout.startswith(f"{STARTED}\n") or said.code not in {_FAILED, TIMED_OUT}
