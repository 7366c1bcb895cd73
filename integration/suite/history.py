"""A builder's life by luck: builds, collections, transfers, restarts and kills in any order, each step watched."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from integration.machine.commands import Completed, Process
from integration.suite.recipes import DARWIN, LINUX, Cookbook, Recipe, salted, told
from integration.suite.site import PREFIX, UNIT, Site
from integration.suite.witness import fingerprint, overlays

ROOTS = "/root/rooted"
DAEMON = {"NIX_REMOTE": "daemon"}
GUEST_NIX = "/nix/var/nix/profiles/default/bin/nix-store"
# Nothing here takes a tenth of it on a quiet machine: whoever needs it waits for something that never comes.
DEADLOCK = 90.0
_LONG_BUILD = 2
_CHECK_EVERY = 25
_NOTICED = 2.0


@dataclass
class History:
    """One life, on a machine whose builder shares its store.

    ``lived``: the steps so far, as one reads them; ``built``: so many derivations were built in the guest,
    ``shared`` of them without copying any input.
    """

    site: Site
    book: Cookbook
    luck: random.Random
    lived: list[str] = field(default_factory=list)
    shared: int = 0
    built: int = 0
    _paths: dict[int, str] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)
    _rooted: dict[str, Recipe] = field(default_factory=dict)
    _salts: int = 0
    _long: tuple[Recipe, Process[bytes]] | None = None
    _disturbed: bool = False

    def live(self, steps: int) -> None:
        """Take so many steps."""
        self.site.machine.run("mkdir", "-p", ROOTS)
        asked = self.site.machine.run(
            "nix-instantiate", "--eval", "--strict", "--json", "--expr", self.book.paths_expression()
        )
        self._paths = dict(enumerate(json.loads(asked.stdout)))
        deeds, weights = zip(*self._deeds().items(), strict=True)
        for number in range(1, steps + 1):
            [deed] = self.luck.choices(deeds, weights)
            began = time.monotonic()
            self.lived.append(f"{number:4} {deed.__name__}")
            deed()
            self._note(f"({time.monotonic() - began:.1f} s)")
            self.look()
            if number % _CHECK_EVERY == 0:
                self.examine()

    def end(self) -> None:
        """Wait for what still runs, and look at everything."""
        self._join()
        self.examine()

    def examine(self) -> None:
        """See that either side holds what its Nix has registered, and that one store is mounted over the other."""
        self.look()
        # It is said to take a second until the guest's Nix knows what the host has deleted; and Nix would remove what
        # has disappeared from its database, so that a second look sees nothing.
        time.sleep(_NOTICED)
        verified = self._guest("--verify", "--check-contents")
        words = verified.stdout + verified.stderr
        assert verified.rc == 0, f"{verified.rc}: {words}"
        assert "disappeared" not in words, words
        assert "modified" not in words, words
        self.site.machine.run("nix-store", "--verify", "--check-contents", timeout=DEADLOCK)
        assert (found := overlays(self.site)) == ["/nix/store"], found

    def _deeds(self) -> dict[Callable[[], None], int]:
        """Give what can happen, and how often; names are what is told of it."""
        return {
            self.build_on_the_host: 9,
            self.build_in_the_guest: 8,
            self.build_anew_in_the_guest: 10,
            self.begin_a_long_build: 4,
            self.unroot: 6,
            self.collect_on_the_host: 7,
            self.collect_in_the_guest: 5,
            self.push: 4,
            self.pull: 5,
            self.restart: 1,
            self.kill_serve: 1,
            self.kill_the_container: 1,
        }

    # -- what can happen -----------------------------------------------------------------------------

    def build_on_the_host(self) -> None:
        self._build(self.luck.choice(self.book.of(LINUX)), rooted=self.luck.random() < 0.6)

    def build_in_the_guest(self) -> None:
        self._build(self.luck.choice(self.book.of(DARWIN)), rooted=self.luck.random() < 0.3)

    def build_anew_in_the_guest(self) -> None:
        self._build(self._new(), rooted=self.luck.random() < 0.2)

    def begin_a_long_build(self) -> None:
        self._join()
        recipe = self._new(pause=_LONG_BUILD)
        self._note(recipe.name)
        self._disturbed = False
        words = self._nix_build(recipe, "--out-link", f"{ROOTS}/long")
        self._long = recipe, self.site.machine.popen(*words, env=DAEMON)

    def unroot(self) -> None:
        if self._rooted:
            path = self.luck.choice(sorted(self._rooted))
            name = self._rooted.pop(path).name
            self._note(name)
            self.site.machine.run("rm", f"{ROOTS}/{name}")

    def collect_on_the_host(self) -> None:
        self.site.machine.run("nix-collect-garbage", timeout=DEADLOCK)

    def collect_in_the_guest(self) -> None:
        self.site.tool("gc", *self.luck.choice(((), ("--max-age", "10s"), ("--free", "4K"))), timeout=DEADLOCK)

    def push(self) -> None:
        there = [path for path in self._paths.values() if self.site.file(path).exists()]
        if there:
            path = self.luck.choice(there)
            self._note(path)
            self.site.tool("push", path, timeout=DEADLOCK)

    def pull(self) -> None:
        recipe = self.luck.choice(self.book.of(DARWIN))
        path = self._paths[recipe.number]
        pulled = self.site.tool("pull", path, check=False, timeout=DEADLOCK)
        self._note(f"{recipe.name}: {pulled.rc}")
        if pulled.rc == 0:
            self._assert_holds(recipe, path)
            self.site.machine.run("nix-store", "--verify-path", path)
        else:
            assert pulled.rc == 1, pulled.stderr
            assert self._guest("--check-validity", path).rc != 0, pulled.stderr

    def restart(self) -> None:
        self._disturbed = True
        self.site.tool("restart", timeout=DEADLOCK)
        self.site.machine.run("systemctl", "reset-failed")

    def kill_serve(self) -> None:
        self._kill(f"$(systemctl show --property=MainPID --value {UNIT})")

    def kill_the_container(self) -> None:
        self._kill(f"$(cat {PREFIX}/.init.pid)")

    # -- how it happens ------------------------------------------------------------------------------

    def _new(self, *, pause: int = 0) -> Recipe:
        self._salts += 1
        return salted(self.luck.choice(self.book.of(DARWIN)), self._salts, pause=pause)

    def _build(self, recipe: Recipe, *, rooted: bool) -> None:
        self._note(recipe.name + " rooted" * rooted)
        link = ("--out-link", f"{ROOTS}/{recipe.name}") if rooted else ("--no-out-link",)
        done = self.site.machine.run(*self._nix_build(recipe, *link), env=DAEMON, timeout=DEADLOCK, check=False)
        assert done.rc == 0, done.stderr
        self._count(recipe, done.stderr)
        path = done.stdout.strip()
        self._assert_holds(recipe, path)
        if rooted:
            self._rooted[path] = recipe

    def _nix_build(self, recipe: Recipe, *link: str) -> tuple[str, ...]:
        return ("nix-build", *link, "--max-jobs", "2", "--expr", self.book.expression(recipe))

    def _count(self, recipe: Recipe, told: str) -> None:
        if recipe.system == DARWIN and f"-{recipe.name}.drv' on 'ssh" in told:
            self.built += 1
            self.shared += "copying 0 paths" in told

    def _join(self) -> None:
        if self._long is None:
            return
        (recipe, process), self._long = self._long, None
        out, err = process.communicate(timeout=DEADLOCK)
        # One whose container was taken away may fail, but must end.
        assert process.returncode == 0 or self._disturbed, err.decode()
        if process.returncode == 0:
            self._assert_holds(recipe, out.decode().strip())

    def _kill(self, pid: str) -> None:
        self._disturbed = True
        ask = ("systemctl", "show", "--property=InvocationID,ActiveState", UNIT)
        [before] = [line for line in self.site.machine.run(*ask).stdout.splitlines() if line.startswith("Invo")]
        # As often as luck wants it: systemd would think that it never ends.
        self.site.machine.run("sh", "-c", f"systemctl reset-failed; kill -KILL {pid}")
        deadline = time.monotonic() + DEADLOCK
        while before in (now := self.site.machine.run(*ask).stdout.splitlines()) or "ActiveState=active" not in now:
            assert time.monotonic() < deadline, f"it does not come back: {now}\n{self.site.machine.journal(UNIT)}"
            time.sleep(0.2)

    def _guest(self, *words: str) -> Completed:
        command = ("/usr/bin/env", "NIX_CONF_DIR=/private/etc/nix", GUEST_NIX, *words)
        return self.site.tool("shell", *command, check=False, timeout=DEADLOCK)

    def _note(self, words: str) -> None:
        self.lived[-1] += f" {words}"

    # -- what must be so -----------------------------------------------------------------------------

    def look(self) -> None:
        """See that all that the host has rooted is there and is what it always was."""
        for path, recipe in self._rooted.items():
            self._assert_holds(recipe, path)
            # Every output names what it was made of, and is thereby a reference to all of it.
            for number in self.book.needed(recipe):
                self._assert_holds(self.book.recipes[number], self._paths[number])

    def _assert_holds(self, recipe: Recipe, path: str) -> None:
        place = self.site.file(path)
        assert place.is_dir(), f"{path} is not there"
        wanted = told(recipe, self._paths)
        found = {one.name: one.read_text() for one in place.iterdir() if not one.is_symlink()}
        assert found == wanted, f"{path} does not hold what was built"
        now = fingerprint(place)
        assert self._seen.setdefault(path, now) == now, f"{path} has changed"
