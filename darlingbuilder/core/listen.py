"""The addresses on which a builder takes connections, and which of them others than this machine can reach."""

from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.settings import Settings

# Always one of them: it is where everything of this machine's own connects.
LOOPBACK = "127.0.0.1"
_ONLY_LOOPBACK = (LOOPBACK,)
# All addresses of a family; together with one of them the kernel lets nobody listen on another of that family.
_ALL_IPV4, _ALL_IPV6 = "0.0.0.0", "::"  # noqa: S104 - they are told from others here, not bound


def addresses(settings: Settings) -> tuple[str, ...]:
    """Give the addresses that have to be listened on, LOOPBACK or what comprises it first, each once."""
    if not _are_others(settings):
        return _ONLY_LOOPBACK
    import ipaddress  # noqa: PLC0415 - only those who choose other addresses need it

    wanted = [str(ipaddress.ip_address(address)) for address in (LOOPBACK, *settings.listen)]
    comprised = {address for address in (_ALL_IPV4, _ALL_IPV6) if address in wanted}
    kept = [one for one in dict.fromkeys(wanted) if one in comprised or _all_of_family(one) not in comprised]
    return tuple(sorted(kept, key=lambda one: one not in {_ALL_IPV4, LOOPBACK}))


def beyond_loopback(settings: Settings) -> tuple[str, ...]:
    """Give those of ``addresses`` that others than this machine may reach."""
    if not _are_others(settings):
        return ()
    import ipaddress  # noqa: PLC0415 - as above

    return tuple(one for one in addresses(settings) if not ipaddress.ip_address(one).is_loopback)


def is_ipv6(address: str) -> bool:
    """Whether ``address``, one of ``addresses``, is of that family."""
    return ":" in address


def socket_address(address: str, port: int) -> str:
    """Give an address with its port, as systemd and URIs write it."""
    return f"[{address}]:{port}" if is_ipv6(address) else f"{address}:{port}"


def refuse_odd(settings: Settings) -> None:
    """Raise ConfigError for what is no address that a server can listen on."""
    if not _are_others(settings):
        return
    import ipaddress  # noqa: PLC0415 - as above

    for address in settings.listen:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            raise ConfigError(
                f"listen: {address!r} is no IP address",
                hint="name addresses of this machine, as «ip address» shows them, without a port or a «/»",
            ) from None
        if found.is_multicast or getattr(found, "ipv4_mapped", None):
            raise ConfigError(
                f"listen: nobody can listen on {address}", hint="name addresses of this machine; see: ip address"
            )


def _are_others(settings: Settings) -> bool:
    return any(address != LOOPBACK for address in settings.listen)


def _all_of_family(address: str) -> str:
    return _ALL_IPV6 if is_ipv6(address) else _ALL_IPV4
