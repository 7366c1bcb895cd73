"""What another machine has to know to build here: where, as whom, by which keys, and what it gets."""

import ipaddress
import re
from dataclasses import dataclass

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair, listen, machines
from darlingbuilder.core.errors import ConfigError, UsageError
from darlingbuilder.core.paths import NIX_MACHINES, SSH_CONFIG
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.keyring import Keyring, Role
from darlingbuilder.steps.registration import connect_seconds
from darlingbuilder.steps.store import require_builds

_HOST = re.compile(r"(?!-)[A-Za-z0-9._-]{1,253}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_KEY = re.compile(r"/[A-Za-z0-9/._+@=-]+\Z")
# [USER@]HOST[:PORT], an IPv6 address in brackets; several, to be passed one after the other, with commas between.
_LOGIN = re.compile(
    r"((?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>(?!-)[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?\Z"
)
_SSH_PORT = 22
# Over a network that is far, and with a login on the way.
_SECONDS_TO_COME_FAR = 30
_TYPES = ("ed25519", "ecdsa", "rsa")
# A host of such a name is the client itself.
_ITSELF = re.compile(r"localhost\Z|localhost\.|127\.|0\.0\.0\.0\Z|::1?\Z|ip6-(localhost|loopback)\Z")


class Offer(msgspec.Struct, frozen=True):
    """The builder as a client is offered it. ``name``: what the client calls it, as ssh alias and in known_hosts.

    ``host``: how the client reaches this machine; ``jump``: by which ssh logins it comes to this machine's loopback,
    null where it connects to ``host`` itself. ``key``: where the client has its private key. ``connect_seconds``: how
    long its ssh is to wait for the builder, which on demand has yet to boot. ``host_keys`` are the builder's, each
    «type base64», a second one while it is about to follow the first; ``jump_host_keys`` are those of this machine's
    own sshd, if the client is to log in there.
    """

    name: str
    host: str
    jump: str | None
    port: int
    user: str
    key: str
    system: str
    protocol: str
    max_jobs: int
    speed_factor: int
    supported_features: list[str]
    mandatory_features: list[str]
    connect_seconds: int
    host_keys: list[str]
    jump_host_keys: list[str]

    @property
    def hostname(self) -> str:
        """Where the connection itself leads, from wherever it starts."""
        return listen.LOOPBACK if self.jump else self.host

    @property
    def jump_name(self) -> str | None:
        """What known_hosts calls the sshd that the client jumps over first; None without one."""
        found = _LOGIN.match(self.jump.split(",")[0]) if self.jump else None
        if not found:
            return None
        host, port = found["host"].strip("[]"), int(found["port"] or _SSH_PORT)
        return host if port == _SSH_PORT else f"[{host}]:{port}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants: ``jump`` is None for a connection of its own, empty for one by way of ``host``."""

    host: str
    jump: str | None = None
    name: str | None = None
    key: str | None = None


def offer(settings: Settings, world: World, wish: Wish) -> Offer:
    """Give what ``wish`` comes to. Raises BuilderError where a client could not build by it."""
    _refuse_useless(settings, wish)
    name = _name(settings, wish)
    itself = f"[{wish.host}]" if listen.is_ipv6(wish.host) else wish.host
    jump = None if wish.jump is None else _checked(_LOGIN, wish.jump or itself, "--jump")
    return Offer(
        name=name,
        host=wish.host,
        jump=jump,
        port=settings.port,
        user=settings.user,
        key=_checked(_KEY, wish.key or f"{NIX_MACHINES.parent}/{name}-key", "--key"),
        system=machines.SYSTEM,
        protocol=settings.protocol,
        max_jobs=machines.jobs(settings),
        speed_factor=settings.speed_factor,
        supported_features=settings.supported_features,
        mandatory_features=settings.mandatory_features,
        connect_seconds=max(_SECONDS_TO_COME_FAR, connect_seconds(settings)),
        host_keys=[key.text for key in Keyring(settings, world.host).valid(Role.HOST)],
        jump_host_keys=_own_host_keys(world) if jump and _leads_to(jump, wish.host) else [],
    )


def _refuse_useless(settings: Settings, wish: Wish) -> None:
    require_builds(settings, purpose="export")
    _refuse_no_host(wish.host)
    if _ITSELF.match(wish.host):
        raise UsageError(
            f"--host: {wish.host} is what a client calls itself",
            hint="name this machine as the client reaches it: --host NAME",
        )
    if wish.jump is None and not listen.beyond_loopback(settings):
        raise ConfigError(
            f"no other machine reaches port {settings.port}: listen is {', '.join(listen.addresses(settings))} alone",
            hint="let clients come by way of this machine's own sshd, which is the safe way: darlingbuilder export "
            '--jump; or open the port, as in: listen = ["0.0.0.0"], then: darlingbuilder init',
        )


def _refuse_no_host(host: str) -> None:
    named, _, port = host.partition(":")
    if _HOST.match(named) and port.isdigit():
        raise UsageError(
            f"--host: {host!r} is a host with a port", hint=f"the port is the builder's: leave it out, --host {named}"
        )
    if not _HOST.match(host) and not _is_ipv6(host):
        raise UsageError(f"--host: {host!r} is no host's name or address", hint="as in: --host builder.example")


def _is_ipv6(host: str) -> bool:
    try:
        # A zone is the machine's own, and means nothing on another one.
        return not ipaddress.IPv6Address(host).scope_id
    except ValueError:
        return False


def _name(settings: Settings, wish: Wish) -> str:
    name = _checked(_NAME, wish.name or f"{settings.names.alias}-{wish.host}".replace(":", "-")[:63], "--name")
    if wish.jump is not None and name in {wish.host, wish.jump.rpartition("@")[2]}:
        raise UsageError(
            f"--name: {name} is the name of the host itself, by way of which the client comes",
            hint="give the builder a name of its own, or leave --name out",
        )
    return name


def _checked(form: re.Pattern[str], value: str, flag: str) -> str:
    # A login may lead over several machines; nothing else that is asked for has a comma in it.
    if not all(form.match(part) for part in (value.split(",") if form is _LOGIN else [value])):
        raise UsageError(
            f"{flag}: {value!r} cannot stand in a client's configuration as it is",
            hint="see what it may be: darlingbuilder export --help",
        )
    return value


def _leads_to(jump: str, host: str) -> bool:
    found = _LOGIN.match(jump)
    return found is not None and found["host"].strip("[]") == host


def _own_host_keys(world: World) -> list[str]:
    """List the keys by which this machine's own sshd is known, where it keeps them in their usual place."""
    files = (SSH_CONFIG.with_name(f"ssh_host_{kind}_key.pub") for kind in _TYPES)
    found = (keypair.written_public(world.host.read(file)) for file in files)
    return [key.text for key in found if key and key.is_whole]
