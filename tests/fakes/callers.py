"""Those who log in while keys are replaced: ssh, which reads its files one after the other, and Nix's build hooks."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair, machines
from darlingbuilder.core.errors import BuilderError, DarlingError
from darlingbuilder.core.machines import Machine
from darlingbuilder.core.paths import AUTHORIZED_KEYS, HOST_KEY, Paths, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from tests.fakes.fuse import Fuse
from tests.fakes.world import FakeWorld
from tests.names import ALIAS, OUR_MACHINES

Pins = tuple[str, ...]


@dataclass
class FakeSshd:
    """The guest's. ``modern``: from OpenSSH 9.8 on, it shows the key that it read when it was started or told to."""

    world: FakeWorld
    modern: bool = True
    deaf: bool = False
    _loaded: str = ""

    def __post_init__(self) -> None:
        self._loaded = self._written()

    @property
    def shown(self) -> str:
        """The host key that a caller sees."""
        return self._loaded if self.modern else self._written()

    def show(self, key: str) -> None:
        """See Door."""
        if self.shown != key and not self.deaf:
            self._loaded = self._written()
        if self.shown != key:
            raise DarlingError("sshd still shows the old host key", hint="restart it")

    def admits(self, key: str) -> bool:
        """Whether it lets in who holds ``key``."""
        return f"restrict {key}" in (self.world.darling.files().read(AUTHORIZED_KEYS) or b"").decode().splitlines()

    def _written(self) -> str:
        return keypair.needed(self.world.darling.files(), HOST_KEY).text


@dataclass
class Caller:
    """An ssh that has begun: it knows the pinned host keys, and the public half of its own."""

    host: Tree
    key: Path
    pins: Pins
    public: str | None = field(init=False)

    def __post_init__(self) -> None:
        # In this order (authfile.c, sshkey_load_public).
        written = keypair.written_public(self.host.read(public_half(self.key)))
        found = written or keypair.read(self.host, self.key)
        self.public = found.text if found else None

    def failure(self, sshd: FakeSshd) -> str:
        """Log in now, and say why that failed; nothing if it did not. Only now the private half is read."""
        if sshd.shown not in self.pins:
            return "Host key verification failed"
        private = keypair.read(self.host, self.key)
        if self.public is None or private is None or private.text != self.public:
            return "private key contents do not match public"
        return "" if sshd.admits(self.public) else "Permission denied"


@dataclass
class Callers:
    """Callers and build hooks that come at every moment of a change, and finish at any later one.

    ``failures``: of logins. Whoever has begun before ``held`` has ended when it begins, and nobody begins then.
    """

    world: FakeWorld
    sshd: FakeSshd
    settings: Settings
    failures: list[str] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)
    stubborn: bool = False
    _begun: list[Caller] = field(default_factory=list)
    _hooks: list[Pins] = field(default_factory=list)
    _is_held: bool = False

    def come(self) -> None:
        """Have those who have begun try to finish, and others begin."""
        self.failures += [why for caller in self._begun if (why := caller.failure(self.sshd))]
        if self._is_held:
            return
        key = Path(self.settings.key)
        callers = [Caller(self.world.host, key, pins) for pins in (*self._hooks, self._pinned(), self._known())]
        self.failures += [why for caller in callers if (why := caller.failure(self.sshd))]
        self._begun += callers
        self._hooks.append(self._pinned())

    def ignorant(self, since: float) -> list[int]:
        """See BuildHooks. They find a slot as soon as they were asked after, unless they are ``stubborn``."""
        del since
        wanted = set(self._pinned())
        found = [number for number, pins in enumerate(self._hooks) if not wanted <= set(pins)]
        if not self.stubborn:
            self.waited += found
            self._hooks = [pins for pins in self._hooks if wanted <= set(pins)]
        return found

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """See BuildHooks."""
        self.come()
        self._begun.clear()
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def prove(self, settings: Settings, world: World, line: Machine | None) -> None:
        """Log in by ``line``, as «keys rotate» does."""
        key, pins = (Path(line.key), line.pinned) if line else (Path(settings.key), self._pinned())
        if why := Caller(world.host, key, pins).failure(self.sshd):
            raise BuilderError(f"login: {why}", hint="see the logs")

    def _pinned(self) -> Pins:
        text = (self.world.host.read(OUR_MACHINES) or b"").decode()
        machine = machines.find(machines.expand(text, lambda _: None).entries, ALIAS)
        return machine.pinned if machine else ()

    def _known(self) -> Pins:
        lines: Sequence[str] = (self.world.host.read(Paths(self.settings).known_hosts) or b"").decode().splitlines()
        return tuple(line.partition(" ")[2] for line in lines if not line.startswith("#"))


@dataclass
class WatchedFuse(Fuse):
    """Lets callers come before each thing that is done."""

    callers: Callers | None = None

    def burn(self) -> None:
        """See Fuse."""
        if self.callers:
            self.callers.come()
        super().burn()
