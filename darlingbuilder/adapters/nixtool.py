"""The host's Nix tools: where they are, as whom they run, and what their failures mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Account, Start
from darlingbuilder.core.errors import CommandError, NixError, PrerequisiteError

# A unit's PATH is short: where NixOS, Nix's own installer and Determinate's keep the tools.
_DIRECTORIES = (Path("/run/current-system/sw/bin"), Path("/nix/var/nix/profiles/default/bin"))


def tool(name: str) -> Path:
    """Find one of Nix's tools. Raises PrerequisiteError."""
    found = process.find(name) or next((path for at in _DIRECTORIES if (path := at / name).is_file()), None)
    if found is None:
        raise PrerequisiteError(
            f"{name}: not found; the host has no Nix",
            hint="install Nix 2.8 or newer (Debian: nix-setup-systemd; else https://nixos.org/download)",
        )
    return found


def store_flags(root: Path | None) -> tuple[str, ...]:
    """Name the store below ``root`` to one of Nix's tools, which follows no links; without one, the host's own."""
    return ("--store", f"local?root={quote(os.fspath(root.resolve()))}") if root else ()


def started_as(account: Account | None) -> Start:
    """Give how a tool is started as ``account``; without one, as ourselves."""
    if account is None:
        return Start()
    # The account of a service has no home, and nothing of our environment is its business.
    return Start(environment={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}, account=account)


@contextmanager
def purpose(told: str, *, hint: str = "its own message says why; run it by hand to see more") -> Iterator[None]:
    """Say what for, and what to do, where a tool of the host's Nix fails."""
    try:
        yield
    except CommandError as error:
        raise NixError(f"the host's Nix failed at {told}: {error}", hint=_remedy(str(error)) or hint) from error


def _remedy(message: str) -> str | None:
    if "No space left on device" in message:
        return "free some disk space, then run it again"
    if "daemon-socket" in message or "cannot connect to" in message:
        return "the host's nix-daemon must run: systemctl start nix-daemon.socket"
    return None
