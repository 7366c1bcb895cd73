"""Programs on a PATH of their own that do, in a few lines of shell, what the real ones do."""

import os
import re
import shutil
from pathlib import Path

# Where this machine has the real ones: a Nix build has nothing in /usr/bin.
OWN_PATH = os.environ.get("PATH", os.defpath)
# What every guest has in that place.
_OF_GUEST = re.compile(r"(?<![\w/])(?:/usr)?/bin/(bash|echo|env|yes)\b")

# ssh that reaches the «guest»: the same machine with the guest's own directory first on its PATH.
_SSH = """
case " $* " in *" -G "*) echo "controlmaster {controlmaster}"; exit;; esac
while [ "$1" != "--" ]; do
  case "$1" in -oUserKnownHostsFile=*) grep -q "^darling-builder ssh-ed25519 " "${{1#*=}}" || exit 255;; esac
  shift
done
shift
PATH={guest}:{own} exec /bin/sh -c "$*"
"""
_KEYSCAN = """
echo "# 127.0.0.1:$PORT SSH-2.0-fake"
echo "[127.0.0.1]:2222 {key}"
"""
_NIX = """
case "$*" in
  *"store info --store ssh-ng://darling-builder?"*) echo "Store URL: ssh-ng://darling-builder";;
  *) echo "error: unknown store: $*" >&2; exit 1;;
esac
"""
# It «builds» what the expression's builder would: the file with its nonce, and the link.
_NIX_BUILD = """
nonce=$(printf '%s\\n' "$*" | sed -n 's/.*darlingbuilder-test-\\([0-9a-f]*\\).*/\\1/p')
out={store}/$nonce-darlingbuilder-test
mkdir -p {root}$out && echo "$nonce" > {root}$out/nonce && ln -s nonce {root}$out/link
echo "$out"
"""


def install(directory: Path, *, host_key: str, root: Path, controlmaster: str = "false") -> str:
    """Put the programs of host and guest below ``directory``, the store below ``root``, and give the PATH.

    ``controlmaster``: what ssh is told of it for the builder.
    """
    host, guest = directory / "host", directory / "guest"
    places = {"guest": guest, "own": OWN_PATH, "key": host_key, "root": root, "store": "/nix/store"}
    places["controlmaster"] = controlmaster
    for name, text in {"ssh": _SSH, "ssh-keyscan": _KEYSCAN, "nix": _NIX, "nix-build": _NIX_BUILD}.items():
        write(host / name, text.format(**places))
    write(host / "nix-store", 'echo "nix-store (Nix) 2.26.3"')
    write(guest / "uname", "echo Darwin")
    write(guest / "nix-daemon", 'echo "nix-daemon (Nix) 2.18.9"')
    return f"{host}:{OWN_PATH}"


def here(command: str) -> str:
    """Name in a command the programs of this machine where it names the guest's, and their places."""
    own = _OF_GUEST.sub(lambda found: str(shutil.which(found[1], path=OWN_PATH)), command)
    return own.replace("/usr/bin:/bin", OWN_PATH)


def write(program: Path, text: str) -> None:
    """Make ``program`` a shell script."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
