"""What inputs cost, by the way in which they get to a build in the guest, and a chain of builds on both sides."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from integration.suite.sharing import open_daemon
from integration.suite.site import Site

MANY, ONE = "490 MB in 20 000 files", "500 MB in one file"
CHAIN = "a chain of 10, linux and darwin by turns"
PYTHON = "/opt/darlingbuilder/bin/python"
BASELINE = "copied over ssh-ng"
_LONG = 900
_ROUNDS = 3
_LINKS = 10
# Not compressible, and each round's own: no path of one round is there already in the next.
_MAKE = """
import pathlib, random, sys
place, seed, files, size = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
luck = random.Random(seed)
for number in range(files):
    directory = place / f"d{number % 100}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"f{number}").write_bytes(luck.randbytes(size))
"""
_SIZES = {MANY: (20_000, 24_500), ONE: (1, 500_000_000)}
_USE = """
  derivation { name = "%s"; system = "x86_64-darwin"; builder = "/bin/sh"; preferLocalBuild = false;
    input = builtins.storePath %s; args = [ "-c" "/bin/ls $input > $out; exit $?" ]; }
"""
_LINK = """
  derivation { name = "%s"; system = %s; builder = "/bin/sh"; preferLocalBuild = false; input = %s;
    args = [ "-c" "/bin/mkdir $out; echo $input > $out/after; exit $?" ]; }
"""


@dataclass
class StoreBench:
    """Times in seconds, by what is done and how; ``say`` is told of each as soon as it is known."""

    site: Site
    say: Callable[[str, str, float, float], None]
    baselines: dict[str, float] = field(default_factory=dict)
    _names: int = 0

    def run(self) -> None:
        """Measure everything, the baseline first."""
        with self._mode("copy"):
            self._measure(BASELINE, lambda path: path)
            self._measure("pushed before the build", self._pushed, of_it="push alone")
        for way in ("registration", "local-overlay"):
            open_daemon(self.site)
            with self._mode("overlay", store_validity=way):
                self._measure(f"shared by an overlay, {way}", lambda path: path)

    def _measure(self, how: str, prepare: Callable[[str], str], of_it: str = "") -> None:
        """Time a build with each of the inputs, each made anew, and the chain."""
        for what, (files, size) in _SIZES.items():
            path = self._input(files, size)
            # It is said to take a second until the guest knows of it.
            time.sleep(2)
            prepared = seconds(partial(prepare, path))
            took = seconds(partial(self._build, path))
            self._told(what, how, prepared + took)
            if of_it:
                self._told(what, of_it, prepared)
            self._clear()
        self._told(CHAIN, how, min(self._chain() for _ in range(_ROUNDS)))

    def _told(self, what: str, how: str, took: float) -> None:
        self.say(what, how, took, self.baselines.setdefault(what, took))

    def _pushed(self, path: str) -> str:
        self.site.tool("push", path, timeout=_LONG)
        return path

    def _input(self, files: int, size: int) -> str:
        name = self._name()
        run = self.site.machine.run
        run(PYTHON, "-c", _MAKE, f"/root/{name}", name, str(files), str(size), timeout=_LONG)
        path = run("nix-store", "--add", f"/root/{name}", timeout=_LONG).stdout.strip()
        run("rm", "-r", f"/root/{name}", timeout=_LONG)
        return path

    def _build(self, path: str) -> None:
        self.site.build(_USE % (self._name(), path), timeout=_LONG)

    def _chain(self) -> float:
        expression = '"/nothing"'
        for number in range(_LINKS):
            system = "builtins.currentSystem" if number % 2 == 0 else '"x86_64-darwin"'
            expression = f"({_LINK % (self._name(), system, expression)})"
        words = ("nix-build", "--no-out-link", "--max-jobs", "2", "--expr", expression)
        return seconds(lambda: self.site.machine.run(*words, timeout=_LONG, env={"NIX_REMOTE": "daemon"}))

    def _clear(self) -> None:
        """Make room."""
        self.site.machine.run("nix-collect-garbage", timeout=_LONG)
        self.site.tool("gc", timeout=_LONG)

    def _name(self) -> str:
        self._names += 1
        return f"bench-{self._names}"

    @contextmanager
    def _mode(self, store: str, **settings: str) -> Iterator[None]:
        self.site.set(store=store, **settings).tool("init")
        # A first connection costs more than the others.
        self.site.tool("test")
        yield


def seconds(action: Callable[[], object]) -> float:
    """Time an action."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
