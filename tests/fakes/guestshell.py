"""The guest's bash, which is this machine's: scripts run for real, with programs of a Darling that has defects."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters import process
from darlingbuilder.adapters.process import Completed, Start
from darlingbuilder.core.paths import GUEST_PROFILE
from tests.fakes import programs

# «wrong NAME»: the Darling has this defect, and nothing corrects it here. No shim, no corrections.
_WRONG = """
wrong() {
  [ -e "DEFECTS/$1" ] || return 1
  [ -n "$DYLD_INSERT_LIBRARIES" ] || return 0
  case ",$DARLINGBUILDER_COMPAT," in *",$1,"*) return 1;; *) return 0;; esac
}
clear_flags() {
  ! wrong lchflags || [ -z "$(find "$1" -type l)" ] && return
  echo "error: clearing flags of path '$1/link': Invalid argument" >&2
  exit 1
}
"""
_NIX_STORE = """
case "$1" in
  --version) echo "nix-store (Nix) 2.18.9";;
  --add) clear_flags "$2"; echo "/nix/store/00000000000000000000000000000000-${2##*/}";;
  --delete) ;;
  *) exit 1;;
esac
"""
_NIX_BUILD = """
nonce=$(printf %s "$*" | sed 's/.*darlingbuilder-test-\\([0-9a-f]*\\).*/\\1/')
path=/nix/store/00000000000000000000000000000000-darlingbuilder-test-$nonce
out=STORE${path#/nix}
mkdir -p "$out"
echo "$nonce" > "$out/nonce"
ln -s nonce "$out/link"
clear_flags "$out"
echo "$path"
"""
_YES = """
! wrong signals || kill -PIPE 0
exec /usr/bin/yes
"""


@dataclass
class GuestShell:
    """``defects``: what is wrong, by the names of the corrections that cure it. ``store``: what is mounted on /nix.

    ``nixes``: what the programs of a Nix of that version do instead of what they should.
    """

    place: Path
    store: Path
    defects: set[str] = field(default_factory=set)
    nixes: dict[str, str] = field(default_factory=dict)

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, timeout: float) -> Completed:
        """Run ``command``, whose paths are the guest's, with nothing but ``environment``."""
        (self.place / "tmp").mkdir(parents=True, exist_ok=True)
        tools = self._install()
        words = [self._mapped(word) for word in command]
        start = Start(environment={**environment, "PATH": f"{tools}:{programs.OWN_PATH}"})
        return process.run(*words, start=start, timeout=timeout, check=False)

    def _mapped(self, words: str) -> str:
        words = programs.here(words).replace("/private/tmp", str(self.place / "tmp"))
        words = words.replace(f"{GUEST_PROFILE}/bin/", f"{self._programs(self._current())}/")
        return re.sub(
            r"/nix/store/[0-9a-z]{32}-nix-([0-9.]+)/bin/", lambda found: f"{self._programs(found[1])}/", words
        )

    def _current(self) -> str:
        profile = self.store / "var/nix/profiles/default"
        return str(profile.parent.joinpath(profile.readlink()).readlink()).rpartition("-")[2]

    def _programs(self, version: str) -> Path:
        place = self.place / "nix" / version
        for name, text in {"nix-store": _NIX_STORE, "nix-build": _NIX_BUILD}.items():
            programs.write(place / name, self._filled(self.nixes.get(version, text)))
        return place

    def _install(self) -> Path:
        defects = self.place / "defects"
        defects.mkdir(exist_ok=True)
        for name in {path.name for path in defects.iterdir()} | self.defects:
            (defects / name).touch() if name in self.defects else (defects / name).unlink()
        programs.write(self.place / "bin/yes", self._filled(_YES))
        return self.place / "bin"

    def _filled(self, text: str) -> str:
        text = f"{_WRONG}{programs.here(text)}".replace("DEFECTS", shlex.quote(str(self.place / "defects")))
        return text.replace("STORE", str(self.store))
