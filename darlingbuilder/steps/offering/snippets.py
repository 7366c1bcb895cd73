"""An offer in each of the forms that a client's configuration takes it in."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from darlingbuilder.core import listen, render
from darlingbuilder.core.machines import Machine
from darlingbuilder.steps.offering.offer import Offer

# From there on Nix takes a port in a machine's URI; Lix, whose numbers begin with 2.90, has gone its own way.
_PORT_IN_URI = ((2, 31), (2, 90))
Version = tuple[int, ...]


class OfferView(msgspec.Struct, frozen=True):
    """An offer as ``--format json`` gives it: what it is made of, and what other formats make of that.

    ``machines``: the line for Nix; ``public_host_key``: its last field, which NixOS wants for ``publicHostKey``.
    """

    offer: Offer
    machines: str
    public_host_key: str
    ssh_config: str
    known_hosts: str


def view(offer: Offer, nix: Version) -> OfferView:
    """Give all of an offer."""
    return OfferView(
        offer=offer,
        machines=line(offer, nix),
        public_host_key=_public_host_key(offer),
        ssh_config=ssh_config(offer),
        known_hosts=known_hosts(offer),
    )


def line(offer: Offer, nix: Version = ()) -> str:
    """Give the line for Nix, of version ``nix``, without its newline; empty: of any version."""
    machine = _machine(offer)
    if not needs_no_alias(offer, nix):
        return machine.line
    uri = f"{offer.protocol}://{offer.user}@{listen.socket_address(offer.host, offer.port)}"
    return replace(machine, uri=uri, host_key=_pins(offer, offer.host)).line


def needs_no_alias(offer: Offer, nix: Version) -> bool:
    """Whether a Nix of that version finds its way without ssh's configuration."""
    # How an address of IPv6 has to be written there differs between versions.
    return offer.jump is None and not listen.is_ipv6(offer.host) and _PORT_IN_URI[0] <= nix < _PORT_IN_URI[1]


def ssh_config(offer: Offer) -> str:
    """Give the alias, as a block of ssh's configuration."""
    return render.template("client_alias.j2", offer=offer, alias=offer.name, connect_seconds=offer.connect_seconds)


def known_hosts(offer: Offer) -> str:
    """Give the lines for known_hosts, of the builder and of the machine that one jumps over, if that is this one."""
    return "".join(f"{name} {key}\n" for name, keys in _known(offer).items() for key in keys)


def _machines(offer: Offer, nix: Version) -> str:
    needs = "" if needs_no_alias(offer, nix) else f" Needs the alias {offer.name}: export --format ssh-config."
    return f"# For the client's /etc/nix/machines.{needs}\n{line(offer, nix)}\n"


def _ssh_config(offer: Offer, _nix: Version) -> str:
    return f"# For the client's /etc/ssh/ssh_config.d/{offer.name}.conf\n{ssh_config(offer)}"


def _known_hosts(offer: Offer, _nix: Version) -> str:
    return f"# For the client's /etc/ssh/ssh_known_hosts\n{known_hosts(offer)}"


def _review(offer: Offer, nix: Version) -> str:
    return f"{line(offer, nix)}\n"


def _nixos(offer: Offer, _nix: Version) -> str:
    return _module(offer, darwin=False)


def _darwin(offer: Offer, _nix: Version) -> str:
    return _module(offer, darwin=True)


# By their names on the command line; JSON is no text of ours.
TEXTS: Mapping[str, Callable[[Offer, Version], str]] = {
    "machines": _machines,
    "ssh-config": _ssh_config,
    "known-hosts": _known_hosts,
    "nixos": _nixos,
    "nix-darwin": _darwin,
    "nixpkgs-review": _review,
}
# Those that say by which keys the client knows whom it logs in to.
WITH_KNOWN_HOSTS = frozenset({"json", "known-hosts", "nixos", "nix-darwin"})


def _machine(offer: Offer) -> Machine:
    return Machine(
        uri=f"{offer.protocol}://{offer.name}",
        systems=(offer.system,),
        key=offer.key,
        jobs=str(offer.max_jobs),
        speed=str(offer.speed_factor),
        supported=tuple(offer.supported_features),
        mandatory=tuple(offer.mandatory_features),
        host_key=_pins(offer, offer.name),
    )


def _pins(offer: Offer, name: str) -> str:
    """Give what Nix is to put behind ``name`` in a known_hosts: one key, or while it is replaced the next, too."""
    first, *others = offer.host_keys
    return "".join([f"{first}\n", *(f"{name} {key}\n" for key in others)])


def _public_host_key(offer: Offer) -> str:
    return base64.b64encode(_pins(offer, offer.name).encode()).decode()


def _known(offer: Offer) -> Mapping[str, list[str]]:
    """Give the keys by the names under which ssh looks for them; the alias's counts for the port itself, too."""
    names = [offer.name] if offer.jump else [offer.name, f"[{offer.host}]:{offer.port}"]
    jump = {offer.jump_name: offer.jump_host_keys} if offer.jump_name and offer.jump_host_keys else {}
    return {",".join(names): offer.host_keys, **jump}


def _module(offer: Offer, *, darwin: bool) -> str:
    hosts = [
        (f"{names.partition(',')[0]}{f'-{number}' if number else ''}", names.split(","), key)
        for names, keys in _known(offer).items()
        for number, key in enumerate(keys)
    ]
    return render.template(
        "client.nix.j2",
        offer=offer,
        darwin=darwin,
        public_host_key=_public_host_key(offer),
        hosts=hosts,
        alias=ssh_config(offer),
        text=_nix_text,
        texts=lambda values: f"[ {' '.join(map(_nix_text, values))} ]" if values else "[ ]",
    )


def _nix_text(value: str) -> str:
    """Write a text as Nix reads it."""
    return json.dumps(value).replace("${", "\\${")
