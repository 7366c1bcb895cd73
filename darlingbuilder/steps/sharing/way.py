"""How the guest's Nix learns what of the host's store is valid: it asks the host's Nix, or it is told."""

import secrets
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from darlingbuilder.adapters.nixclient import DAEMON_SOCKET
from darlingbuilder.adapters.process import TIMED_OUT
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, managed
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import GUEST_OWN_NIX, NIX_STORE_CONF, STORE, SYSTEM_ROOT
from darlingbuilder.core.plain import plain
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.sshd import session_environment

_FEATURES = "local-overlay-store read-only-local-store"
# A fatal signal in Darling ends the whole group, and a killed command gives 0: the shell has to live to tell.
_SCRIPT = 'word=$1; shift; "$@"; echo "$word $?"'


class Way(Enum):
    """The ways, by the words of the setting ``store_validity``."""

    LOCAL_OVERLAY = "local-overlay"
    REGISTRATION = "registration"


@dataclass(frozen=True, slots=True)
class Ways:
    """The choice between them, made in the container, which must be up with its store mounted."""

    settings: Settings
    world: World

    def choose(self) -> Way:
        """Choose, and tell the guest's Nix. Raises PrerequisiteError if the way asked for cannot be gone."""
        way = self._chosen()
        managed.converge([self._configuration(way)])
        return way

    def in_force(self) -> Way:
        """Read what the guest's Nix was told by the start that it runs since."""
        told = self.world.darling.files().read(NIX_STORE_CONF) or b""
        return Way.LOCAL_OVERLAY if f"\nstore = {Way.LOCAL_OVERLAY.value}:".encode() in told else Way.REGISTRATION

    def _chosen(self) -> Way:
        if self.settings.store_validity == Way.REGISTRATION.value:
            return Way.REGISTRATION
        obstacle = self._obstacle()
        if obstacle is None:
            return Way.LOCAL_OVERLAY
        if self.settings.store_validity == Way.LOCAL_OVERLAY.value:
            raise PrerequisiteError(
                f"the guest's Nix cannot ask the host's what is valid: {obstacle}",
                hint=f"let {self.settings.user} use {DAEMON_SOCKET} and take a Nix from 2.22 on for the guest, "
                'or set «store_validity» to "auto"',
            )
        log.debug("the guest's Nix cannot ask the host's", why=obstacle)
        return Way.REGISTRATION

    def _obstacle(self) -> str | None:
        """Have the guest's Nix ask the host's something that it cannot know itself; say what keeps it from that."""
        current = profile_of(self.settings, self.world).current()
        if current is None:
            return "it has none"
        options = ("--store", _uri(), "--option", "experimental-features", f"nix-command {_FEATURES}")
        word = secrets.token_hex(8)
        told = self.world.darling.run(
            "/usr/bin/env", "-i", "HOME=/tmp", *(f"{name}={value}" for name, value in session_environment().items()),
            "/bin/bash", "-c", _SCRIPT, "way", word,
            f"{current.path}/bin/nix-store", *options, "--query", "--referrers", current.path,
            timeout=self.settings.boot_timeout,
        )  # fmt: skip
        if f"{word} 0" in told.stdout.splitlines():
            return None
        if told.code == TIMED_OUT:
            return f"no answer within {self.settings.boot_timeout} s"
        said = [line for line in (told.stderr + told.stdout).splitlines() if line.strip() and word not in line]
        return plain(said[-1].strip()) if said else "it died"

    def _configuration(self, way: Way) -> ManagedFile:
        text = f"# How it learns what of the host's store is valid: {way.value}.\n"
        if way is Way.LOCAL_OVERLAY:
            text += f"store = {_uri()}\nextra-experimental-features = {_FEATURES}\n"
        return ManagedFile(self.world.darling.files(), NIX_STORE_CONF, text)


def _uri() -> str:
    inside = SYSTEM_ROOT / DAEMON_SOCKET.relative_to("/")
    lower = quote(f"unix://{inside}?root={SYSTEM_ROOT}", safe="")
    upper = quote(str(GUEST_OWN_NIX / Path(STORE).name))
    return f"local-overlay://?lower-store={lower}&upper-layer={upper}&check-mount=false"
