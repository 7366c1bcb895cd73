"""What it means that others than this machine can reach the builder's port, said to whoever has chosen it."""

from collections.abc import Iterator

from darlingbuilder.adapters import tcp
from darlingbuilder.core import listen
from darlingbuilder.core.note import Note
from darlingbuilder.core.settings import Settings


def notes(settings: Settings) -> list[Note]:
    """Name the risk of listening beyond loopback, and addresses on which nobody can come."""
    return [*_risk(settings), *_absent(settings)]


def _risk(settings: Settings) -> Iterator[Note]:
    if exposed := listen.beyond_loopback(settings):
        yield Note(
            "listen",
            f"whoever reaches port {settings.port} of {' and '.join(exposed)} speaks to the guest's sshd, in a stock "
            "Darling OpenSSH 8.1p1 of 2019, and whoever has an accepted key can run builds, which nothing holds but "
            "the unit's walls (docs/security.md)",
            hint="have a firewall let in the clients alone; or leave listen out, and let clients come by way of this "
            "machine's own sshd: darlingbuilder export --jump",
        )


def _absent(settings: Settings) -> Iterator[Note]:
    absent = [address for address in listen.beyond_loopback(settings) if not tcp.is_of_this_machine(address)]
    if absent:
        late = "systemd takes connections there as soon as this machine has it"
        early = "the guest's sshd listens there only if this machine has it when the builder starts"
        yield Note(
            "listen",
            f"{' and '.join(absent)} is no address of this machine now; {late if settings.on_demand else early}",
            hint="see which it has: ip address; then correct «listen», or: darlingbuilder restart",
        )
