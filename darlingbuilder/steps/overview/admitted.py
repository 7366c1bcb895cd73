"""Which other machines may build here, and on which addresses they find the port."""

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.core import listen
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.clients import Clients


class ClientSeen(msgspec.Struct, frozen=True):
    """A client; ``usable``: whether its key is one, without which it is not let in."""

    name: str
    usable: bool


def clients(settings: Settings, world: World) -> list[ClientSeen]:
    """List the clients by their names."""
    return [ClientSeen(one.name, one.key is not None) for one in Clients(settings, world.host).listed()]


def exposed(settings: Settings) -> list[str]:
    """List where others than this machine may reach the port, as «address:port»."""
    return [listen.socket_address(address, settings.port) for address in listen.beyond_loopback(settings)]
