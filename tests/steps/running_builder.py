"""A builder whose files are in place, in a world whose guest has a real little sshd."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.tcp import is_ssh
from darlingbuilder.core import config, declaration
from darlingbuilder.core.config import Config
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.plan import build
from darlingbuilder.steps.running import Builder
from tests.fakes.furnished import chosen, furnish
from tests.fakes.live import LiveDarling
from tests.fakes.ssh import FakeSsh
from tests.fakes.world import FakeWorld, fake_world
from tests.steps.prerequisites.machine import free_port


@dataclass
class Site:
    """What a test looks at. ``heard``: what the builder has told systemd; ``on_hearing`` may do something then."""

    config: Config
    world: FakeWorld
    darling: LiveDarling
    heard: list[str] = field(default_factory=list)
    on_hearing: Callable[[str], None] = lambda _line: None

    @property
    def settings(self) -> Settings:
        return self.config.settings

    @property
    def builder(self) -> Builder:
        return Builder(self.settings, self.world, self.tell)

    @property
    def port(self) -> int:
        return self.settings.port

    def tell(self, *lines: str) -> None:
        for line in lines:
            self.heard.append(line)
            self.on_hearing(line)

    def greets(self) -> bool:
        return is_ssh(self.port, timeout=5)

    def init(self, **flags: str) -> None:
        """Put the files of the builder in place, with other settings from then on."""
        for setting, value in {"port": str(self.port), "state": self.settings.state, **flags}.items():
            self.config = changed(self.config, setting, value)
        for step in build(self.config, self.world).files:
            step.apply()


def changed(before: Config, key: str, value: str) -> Config:
    """Give ``before`` with one setting as a flag says it."""
    values = {key: declaration.as_text(value) for key, value in config.flatten(before.settings).items()}
    said = {key: value for key, value in values.items() if before.origins[key] != "default"}
    return chosen(**{**said, key.replace(".", "__"): value})


@contextmanager
def site(**flags: str) -> Iterator[Site]:
    """Give the builder, and end its sshd afterwards."""
    # pytest's own directories are too long for a prefix.
    with tempfile.TemporaryDirectory() as directory:
        made = _made(Path(directory), **flags)
        try:
            yield made
        finally:
            made.darling.shutdown()


def _made(place: Path, **flags: str) -> Site:
    root, state = place / "machine", place / "state"
    root.mkdir()
    state.mkdir()
    # The state directory has the same name on this machine and below its root.
    (root / state.parts[1]).symlink_to(Path("/") / state.parts[1])
    config = chosen(port=str(free_port()), state=str(state), **flags)
    plain = fake_world(root, config.settings)
    darling = LiveDarling(
        plain.host.real(config.settings.prefix_path), config.settings.user, plain.accounts, ledger=plain.host.ledger
    )
    world = FakeWorld(plain.host, plain.accounts, darling, plain.nix, FakeSsh(guest=darling.session), plain.systemd)
    made = Site(config, furnish(world), darling)
    for step in build(config, world).files:
        step.apply()
    return made
