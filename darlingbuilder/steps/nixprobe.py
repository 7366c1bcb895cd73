"""Whether a Nix can serve in this guest: it tells its version there, and builds an output with a link in it."""

import hashlib
import re
import secrets
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder import __version__
from darlingbuilder.adapters.process import TIMED_OUT
from darlingbuilder.adapters.world import World
from darlingbuilder.core import compatibility, storepath
from darlingbuilder.core.paths import SHIM
from darlingbuilder.core.plain import plain
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import trial
from darlingbuilder.steps.nixsource import ROOTS
from darlingbuilder.steps.profile import in_tree, nix_tree, profile_of
from darlingbuilder.steps.sshd import session_environment

# A process group of its own, for in Darling a fatal signal ends the whole group: the shell has to live to tell. It
# tells the name, too, for Darwin numbers its signals in its own way.
_SCRIPT = (
    'word=$1; shift; set -m; "$@" </dev/null 2>&1 & wait $!; status=$?; '
    'echo; echo "$word $status $([ $status -le 128 ] || kill -l $status)"'
)
_SIGNALLED = 128
_NOT_RUN = frozenset({126, 127})
_VERSION = re.compile(r"nix-store \([^()]*\) \S+")
_MARK = "probed-"
# What a failing build says, and what it means in a Darling guest (FACTS); the first that is found counts.
_DEFECTS = (
    (
        "clearing flags of path",
        "no output with a symlink can be registered: lchflags() gives EINVAL on one, and Nix bears ENOTSUP alone",
        'the correction «lchflags» cures it: set «compat» to "auto", then run «darlingbuilder init»',
    ),
    (
        "sandbox-exec",
        "it wants /usr/bin/sandbox-exec, which Darling lacks, even without a sandbox",
        "Nix from 2.25 on does not; choose a newer one and run «darlingbuilder init»",
    ),
)
_CHOOSE = "choose another by nix.version, nix.package or nix.tarball, then run «darlingbuilder init»"


@dataclass(frozen=True, slots=True)
class Unfit:
    """A Nix that cannot serve: ``how`` it failed, and what to do about it."""

    nix: str
    how: str
    remedy: str = _CHOOSE

    def __str__(self) -> str:
        return f"{self.nix} cannot serve in this guest: {self.how}"

    @property
    def hint(self) -> str:
        """The remedy, and what is known of other versions."""
        return f"{self.remedy}; {compatibility.nix_advice()}"


@dataclass(frozen=True, slots=True)
class _Told:
    """What a command in the guest said, and how it ended; ``status`` is None if nobody could tell."""

    words: str
    status: int | None
    signal: str
    timed_out: bool


@dataclass(frozen=True, slots=True)
class NixProbe:
    """Tries a Nix in the container, which must be up, with its store mounted; once for all it depends on.

    That it has passed is told by a link among the guest's gc roots, whose name stands for the Nix, the launcher, the
    sessions' environment, the shim in it and this version of us. Whoever removes it gets another trial; the guest's
    user, who can forge it, gets a Nix that does not build. ``preload``: the variables that put corrections in force.
    """

    settings: Settings
    world: World
    preload: Mapping[str, str]

    def examine(self, nix: str) -> Unfit | None:
        """Say how the Nix with the store path ``nix`` fails; None if it passes, or has passed before."""
        if self._tree.link(self._mark(nix)) == nix:
            return None
        unfit = self._version(nix) or self._build(nix)
        if unfit is None:
            self._remember(nix)
        return unfit

    @property
    def _tree(self) -> Tree:
        return nix_tree(self.settings, self.world)

    def _version(self, nix: str) -> Unfit | None:
        told = self._run(f"{nix}/bin/nix-store", "--version")
        if told.status == 0 and _VERSION.search(told.words):
            return None
        return self._unfit(nix, "asked for its version", told)

    def _build(self, nix: str) -> Unfit | None:
        # The output stays: a few bytes that the guest's next garbage collection takes, where a removal would be
        # one more call of the guest.
        nonce = secrets.token_hex(16)
        told = self._run(f"{nix}/bin/nix-build", "--no-out-link", "--expr", trial.expression(nonce))
        output = next((line for line in told.words.splitlines() if line.endswith(f"-{trial.name(nonce)}")), "")
        if told.status == 0 and storepath.is_store_path(output):
            if trial.is_right(self._tree, in_tree(output), nonce):
                return None
            return Unfit(nix, f"it says that it has built {output}, which does not hold what was to be built")
        return self._unfit(nix, "told to build a file and a symlink", told)

    def _run(self, *command: str) -> _Told:
        """Run ``command`` in the guest as a session of sshd would, and learn how it really ends."""
        word = secrets.token_hex(8)
        shell = ("/bin/bash", "-c", _SCRIPT, "nixprobe", word)
        limit = self.settings.boot_timeout
        # NIX_* of the host, and all else that the launcher hands on, is none of a session's.
        said = self.world.darling.run("/usr/bin/env", "-i", *self._environment(), *shell, *command, timeout=limit)
        found = re.search(rf"^{word} (\d+) (\w*)$", said.stdout, re.MULTILINE)
        words = said.stdout[: found.start()] if found else said.stdout + said.stderr
        status = int(found[1]) if found else None
        return _Told(words.strip(), status, found[2] if found else "", timed_out=said.code == TIMED_OUT)

    def _environment(self) -> Iterator[str]:
        user = self.settings.user
        variables = {"HOME": f"/Users/{user}", "USER": user, "LOGNAME": user, **session_environment(), **self.preload}
        return (f"{variable}={value}" for variable, value in variables.items())

    def _unfit(self, nix: str, asked: str, told: _Told) -> Unfit:
        for sign, meaning, remedy in _DEFECTS:
            if sign in told.words:
                return Unfit(nix, f"{meaning}{_last(told.words)}", remedy)
        if told.timed_out:
            return Unfit(nix, f"{asked}, it did not answer within {self.settings.boot_timeout} s{_last(told.words)}")
        return Unfit(nix, f"{asked}, it {_end(told)}{_last(told.words)}")

    def _mark(self, nix: str) -> Path:
        launcher = self.world.host.real(self.world.darling.launcher()).resolve()
        found = launcher.stat() if launcher.exists() else None
        built = found and (found.st_mtime_ns, found.st_size)
        seen = (nix, __version__, launcher, built, self._shim(), *self._environment())
        return ROOTS / f"{_MARK}{hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"

    def _shim(self) -> str:
        """Tell the shim that is preloaded from any other."""
        content = self.world.darling.files().read(SHIM) if self.preload else None
        return hashlib.sha256(content).hexdigest() if content else ""

    def _remember(self, nix: str) -> None:
        owner = profile_of(self.settings, self.world).owner
        self._tree.make_directory(ROOTS, owner=owner)
        for one in self._tree.names(ROOTS):
            if one.startswith(_MARK):
                self._tree.remove(ROOTS / one)
        self._tree.write_link(self._mark(nix), nix, owner=owner)


def _end(told: _Told) -> str:
    if told.status is None:
        return "died and took its shell along"
    if told.signal:
        return f"died of SIG{told.signal}{_meaning(told.signal)}"
    if told.status in _NOT_RUN:
        return "could not be started"
    return f"ended with status {told.status}" if told.status else "said nothing that Nix says"


def _meaning(name: str) -> str:
    number = getattr(signal, f"SIG{name}", None)
    return f" ({signal.strsignal(number)})" if number else ""


def _last(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return f": {plain(' / '.join(lines[-3:]))}" if lines else ""
