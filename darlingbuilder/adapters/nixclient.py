"""The host's Nix as its users have it: a remote store asked, and a derivation built."""

import os
from collections.abc import Mapping
from pathlib import Path

from darlingbuilder.adapters import process
from darlingbuilder.adapters.nixtool import tool
from darlingbuilder.adapters.process import Completed, Start

_NIX_COMMAND = ("--extra-experimental-features", "nix-command")
# Its name before 2.20, and in every Lix, whatever its version.
_INFO_VERBS = ("info", "ping")
_UNKNOWN_VERB = "is not a recognised command"
DAEMON_SOCKET = Path("/nix/var/nix/daemon-socket/socket")


def store_info(store: str, *, extra: Mapping[str, str] | None = None, timeout: float) -> Completed:
    """Have Nix connect to ``store`` and describe it; ``extra`` environment goes to the ssh that it starts."""
    newer, older = _INFO_VERBS
    said = _store(newer, store, extra or {}, timeout)
    return _store(older, store, extra or {}, timeout) if _UNKNOWN_VERB in said.stderr else said


def _store(verb: str, store: str, extra: Mapping[str, str], timeout: float) -> Completed:
    return process.run(
        tool("nix"), *_NIX_COMMAND, "store", verb, "--store", store,
        start=Start(environment=_environment(extra)),
        timeout=timeout,
        check=False,
    )  # fmt: skip


def build_remotely(expression: str, *, builders: str | None, extra: Mapping[str, str], timeout: float) -> Completed:
    """Build ``expression`` on a remote machine alone, with no link that keeps the output from being collected.

    ``builders`` stands for the ones that are configured, which None leaves in force. Prints the output's path.
    """
    return process.run(
        tool("nix-build"),
        "--no-out-link",
        "--max-jobs", "0",
        # It cannot be in a cache, and an unreachable one would only be waited for.
        "--option", "substitute", "false",
        *(() if builders is None else ("--builders", builders)),
        "--expr", expression,
        start=Start(environment=_environment(extra)),
        timeout=timeout,
        check=False,
    )  # fmt: skip


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Leave out all that a caller's NIX_… variables would change: the daemon does not see them either."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "LANG": "C.UTF-8", **extra}
