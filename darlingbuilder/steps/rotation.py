"""Keys replaced by others without a build that fails: both count until the new ones are proven."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from darlingbuilder.adapters.buildhooks import BuildHooks
from darlingbuilder.adapters.world import World
from darlingbuilder.core import lock, log, machines, wait
from darlingbuilder.core.errors import BuilderError, NixError
from darlingbuilder.core.machines import Machine
from darlingbuilder.core.paths import next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import probes
from darlingbuilder.steps.access import Access
from darlingbuilder.steps.converge import converge
from darlingbuilder.steps.keyring import IMPORTED_COMMENT, Keyring, Role
from darlingbuilder.steps.keys import Keys
from darlingbuilder.steps.layers import climb
from darlingbuilder.steps.registration import Registration
from darlingbuilder.steps.showing import Door
from darlingbuilder.steps.sshd import Sshd

_KEY_MODE = 0o600
_SECONDS_TO_PROVE = 120.0
_NANOSECONDS = 1e9
Proof = Callable[[Settings, World, Machine | None], None]


@dataclass(frozen=True, slots=True)
class Rotation:
    """The keys of ``roles`` make room for the ones that lie beside them.

    Its state is the key files alone (see Keyring), so it goes on wherever it was interrupted:

    1. Where nobody can log in as it is, nothing is changed. Then the next key is put there: the guest admits it, and
       it is pinned beside the old one. What is connected, or about to, knows the old keys, and they still hold.
    2. Build hooks read the machines line but once. Those that know the old host key alone are waited for.
    3. While no hook may begin to connect, sshd comes to show the next host key, and the user key is put in the old
       one's place. ssh reads that file twice, and fails if it has changed in between.
    4. The next keys alone are proven by logins, and only then the old ones are dropped.
    """

    settings: Settings
    world: World
    roles: Sequence[Role]
    hooks: BuildHooks
    door: Door
    prove: Proof
    patience: float

    def run(self, begin: Callable[[], object]) -> None:
        """Go through all of it; ``begin`` puts the next keys there, unless they are. Raises BuilderError.

        Wherever it cannot go on after that, both keys count, and builds go on.
        """
        self._prove("looking at the builder as it is", None)
        with self._locked("admitting and pinning the next keys"):
            begin()
            self._converge(Keys, Sshd, Registration)
        self._prove("trying the next keys", self._line(self._user_key()))
        self._await_hooks()
        with self._locked("changing over"), self.hooks.held():
            self._change_over()
        self._prove("trying the next keys alone", self._line(self._ring.path(Role.USER), alone=True))
        with self._locked("dropping the old keys"):
            self._drop()

    def _change_over(self) -> None:
        if Role.HOST in self.roles:
            Sshd(self.settings, self.world).show_next()
            self.door.show(self._ring.valid(Role.HOST)[-1].text)
        if Role.USER in self.roles:
            self._put_in_place(Role.USER)

    def _drop(self) -> None:
        if Role.HOST in self.roles:
            self._put_in_place(Role.HOST)
        self._converge(Keys, Sshd, Registration)
        for role in self.roles:
            # The last of it: until this is gone, a repetition goes on from here.
            self.world.host.remove(next_of(self._ring.path(role)))
        Keys(self.settings, self.world).sweep()

    def _put_in_place(self, role: Role) -> None:
        """Replace a key by the next, so that at every moment ssh finds two halves of one key."""
        host, path = self.world.host, self._ring.path(role)
        if len(self._ring.valid(role)) > 1:
            # ssh believes this file before the private one; without it, the private one tells the public half.
            host.remove(public_half(path))
            if target := host.link(next_of(path)):
                host.write_link(path, target, owner=ROOT)
            else:
                host.replace(path, host.read(next_of(path)) or b"", mode=_KEY_MODE, owner=ROOT)
        if self._ring.coming(role) and not host.link(path) and not self._ring.is_ours(path):
            line = f"{self._ring.valid(role)[0].text} {IMPORTED_COMMENT}{os.uname().nodename}\n"
            host.write(public_half(path), line.encode(), owner=ROOT)
        self._converge(Keys)

    def _await_hooks(self) -> None:
        # With «register = false» no line pins a key (see Succession), and ssh reads known_hosts for each connection.
        if Role.HOST not in self.roles or not self.settings.register:
            return
        written = self.world.host.attributes(self.settings.names.machines)
        since = written.mtime_ns / _NANOSECONDS if written else 0.0
        if self.hooks.ignorant(since):
            log.info("rotating", now="waiting for builds that know the old host key alone", seconds=self.patience)
        if not wait.until(lambda: not self.hooks.ignorant(since), seconds=self.patience):
            pids = " ".join(map(str, self.hooks.ignorant(since)))
            raise NixError(
                f"build hooks of Nix that know the old host key alone are still there: {pids}",
                hint="both keys count until they have ended; then, or with a longer --timeout: "
                "darlingbuilder keys rotate --host",
            )

    def _line(self, key: Path, *, alone: bool = False) -> Machine:
        """Give the machines line by which a login is to be tried; ``alone``: pinned to the next host key alone."""
        pinned = self._ring.valid(Role.HOST)
        wanted = pinned[-1:] if alone and Role.HOST in self.roles else pinned
        return replace(machines.ours(self.settings, *(one.line for one in wanted)), key=str(key))

    def _user_key(self) -> Path:
        path = self._ring.path(Role.USER)
        return next_of(path) if Role.USER in self.roles else path

    def _prove(self, what: str, line: Machine | None) -> None:
        log.info("rotating", now=what)
        self.prove(self.settings, self.world, line)

    def _converge(self, *steps: Callable[[Settings, World], Keys | Sshd | Registration]) -> None:
        for step in steps:
            converge(step(self.settings, self.world), announce=lambda *_: None)

    @property
    def _ring(self) -> Keyring:
        return Keyring(self.settings, self.world.host)

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        # Not all the time: a start of the builder, which a login may bring about, takes this lock, too.
        place = self.world.host.real(self.settings.names.lock)
        with lock.held(place, purpose="keys rotate", seconds=lock.PATIENCE):
            log.info("rotating", now=what)
            yield


def proven(settings: Settings, world: World, line: Machine | None) -> None:
    """Log in and speak Nix's protocol by ``line``, or as Nix does now. Raises BuilderError if that fails.

    No build: it would show no more of a key, and where every slot is taken, it would have to wait.
    """
    with tempfile.TemporaryDirectory(prefix="darlingbuilder-keys-") as scratch:
        access = Access(settings, world, Path(scratch), line)
        for outcome in climb(probes.CONNECTION, access, seconds=_SECONDS_TO_PROVE):
            if outcome.state == "failed":
                raise BuilderError(f"{outcome.layer}: {outcome.detail}", hint=outcome.hint)
