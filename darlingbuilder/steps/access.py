"""The way in which the host's Nix reaches the builder, made out from what Nix and ssh are really told."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from msgspec.structs import replace

from darlingbuilder.adapters.nixclient import DAEMON_SOCKET
from darlingbuilder.adapters.sshclient import Client
from darlingbuilder.adapters.world import World
from darlingbuilder.core import failures, machines
from darlingbuilder.core.errors import KeyFileError
from darlingbuilder.core.machines import Machine
from darlingbuilder.core.paths import Paths, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.keyring import Keyring
from darlingbuilder.steps.layers import UnmetError
from darlingbuilder.steps.registration import alias_text


@dataclass
class Access:
    """Access to the builder as nix-daemon has it. ``scratch``: an empty directory that is ours.

    Where ``register`` is false and nobody else has registered the builder, both the alias and the machines line
    are our own for this once; ssh and Nix are then told of them on their command lines. The same holds for another
    ``line`` than the one that is there.
    """

    settings: Settings
    world: World
    scratch: Path
    line: Machine | None = None

    @cached_property
    def registered(self) -> Machine | None:
        """The builder among the machines that Nix itself finds; None if it finds none."""
        return machines.find(self._entries, self.settings.names.alias)

    @cached_property
    def machine(self) -> Machine:
        """The builder's machines line. Raises UnmetError if it should be registered and is not."""
        if self.line:
            return self.line
        if self.registered:
            return self.registered
        if out := failures.outage(self.settings, self.world.host):
            raise UnmetError(
                f"the builder is out of service, for it has failed again and again: {out.reason}",
                hint="mend that, and it is back by itself; at once by: darlingbuilder restart",
            )
        if self.settings.register:
            ours = self.settings.names
            raise UnmetError(
                f"Nix finds no machine {ours.alias} for {machines.SYSTEM}: its setting builders does not lead to one",
                hint=f"register it: darlingbuilder init, which writes {ours.machines}",
            )
        return self.own

    @cached_property
    def own(self) -> Machine:
        """The machines line as it follows from the settings and the keys. Raises KeyFileError if the key is gone."""
        pinned = Keyring(self.settings, self.world.host).pinned_lines()
        if not pinned:
            path = public_half(Paths(self.settings).host_key)
            raise KeyFileError(f"{path} is absent", hint="make it anew from its private half: darlingbuilder init")
        return machines.ours(self.settings, *pinned)

    @cached_property
    def pinned(self) -> tuple[str, ...]:
        """The host keys that Nix or else ssh insists on, as «type base64»: two while one is replaced."""
        return self.machine.pinned or self.own.pinned

    @cached_property
    def ssh(self) -> Client:
        """Ssh with the very options that Nix gives it (libstore/ssh.cc): the line's key and its pinned host key."""
        known_hosts = self.scratch / "known_hosts"
        known_hosts.write_text("".join(f"{self.settings.names.alias} {key}\n" for key in self.pinned))
        key = ("-i", self.machine.key) if self.machine.key else ()
        return Client(self.settings.names.alias, (*self._own_alias, *key, f"-oUserKnownHostsFile={known_hosts}"))

    @property
    def store(self) -> str:
        """The URI that Nix makes of the line, key and pinned host key included."""
        pinned = self.machine.line.split()[7]
        told = {"ssh-key": self.machine.key, "base64-ssh-public-host-key": "" if pinned == "-" else pinned}
        query = "&".join(f"{name}={quote(value)}" for name, value in told.items() if value)
        return f"{self.machine.uri}{'&' if '?' in self.machine.uri else '?'}{query}" if query else self.machine.uri

    @property
    def builders(self) -> str | None:
        """What Nix must be told of the builder; None where it knows it, and would send a build to no other."""
        others = machines.others(self._entries, self.settings.names.alias)
        return None if self.registered and not others and not self.line else self.machine.line

    @property
    def environment(self) -> Mapping[str, str]:
        """What Nix needs in its environment to reach the builder: the daemon, if it has one, as every user does.

        The daemon would not see our NIX_SSHOPTS. Where those are needed, Nix works on the store by itself.
        """
        if self._own_alias:
            return {"NIX_REMOTE": "local", "NIX_SSHOPTS": " ".join(self._own_alias)}
        return {"NIX_REMOTE": "daemon"} if self.world.host.attributes(DAEMON_SOCKET) else {}

    @cached_property
    def _own_alias(self) -> tuple[str, ...]:
        config = self.scratch / "ssh_config"
        if self.line:
            config.write_text(alias_text(replace(self.settings, key=self.line.key)))
            return ("-F", str(config))
        if self.registered or self.settings.register:
            return ()
        config.write_text(alias_text(self.settings))
        return ("-F", str(config))

    @cached_property
    def _entries(self) -> tuple[str, ...]:
        builders = str(self.world.nix.settings().get("builders", ""))
        return machines.expand(builders, self._text).entries

    def _text(self, path: Path) -> str | None:
        content = self.world.host.read(path)
        return None if content is None else content.decode(errors="replace")
