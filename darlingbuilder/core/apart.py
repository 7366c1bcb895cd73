"""Settings of two builders of one host that would have the one disturb the other."""

from collections.abc import Callable, Iterable
from pathlib import Path

from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.settings import Settings

_LAST_PORT = 65535


def check_apart(ours: Settings, other: Settings) -> None:
    """Refuse what two builders would have between them. Raises ConfigError."""
    for check in _CHECKS:
        check(ours, other)


def _check_places(ours: Settings, other: Settings) -> None:
    for setting, place in _places(ours):
        for _, theirs in _places(other):
            if place.is_relative_to(theirs) or theirs.is_relative_to(place):
                raise ConfigError(
                    f"{setting}: {place} and {theirs}, of the builder {other.instance!r}, are not apart",
                    hint=f"each needs directories of its own: leave it out, or choose another «{setting}»",
                )


def _check_key(ours: Settings, other: Settings) -> None:
    taken = [Path(other.key), *(place for _, place in _places(other))]
    if any(Path(ours.key).is_relative_to(place) for place in taken):
        raise ConfigError(
            f"key: {ours.key} is in the hands of the builder {other.instance!r}, which replaces and removes it",
            hint="leave «key» out, or choose another file name",
        )


def _check_user(ours: Settings, other: Settings) -> None:
    if ours.user == other.user:
        raise ConfigError(
            f"user: {ours.user} is whom the builder {other.instance!r} runs as: each could read and kill the other",
            hint="leave «user» out, which makes a system user for this one; or name another",
        )


def _check_ports(ours: Settings, other: Settings) -> None:
    theirs = _ports(other)
    for setting, port in _ports(ours).items():
        if port in theirs.values():
            raise ConfigError(
                f"{setting} = {port} is that of the builder {other.instance!r}",
                hint=f"choose another: {setting} = {_free([*_ports(ours).values(), *theirs.values()])}",
            )


def _check_metrics(ours: Settings, other: Settings) -> None:
    if ours.metrics_textfile and ours.metrics_textfile == other.metrics_textfile:
        raise ConfigError(
            f"metrics_textfile: {ours.metrics_textfile} is written by the builder {other.instance!r}",
            hint="choose another file name in the same directory: node_exporter reads all of them",
        )


def _places(settings: Settings) -> list[tuple[str, Path]]:
    return [("state", Path(settings.state)), ("prefix", settings.prefix_path.parent)]


def _ports(settings: Settings) -> dict[str, int]:
    private = {"private_port": settings.private_port} if settings.on_demand else {}
    return {"port": settings.port, **private}


def _free(taken: Iterable[int]) -> int:
    """Give a port that neither of the two has."""
    known = frozenset(taken)
    return min(number + 1 for number in known if number < _LAST_PORT and number + 1 not in known)


_CHECKS: tuple[Callable[[Settings, Settings], None], ...] = (
    _check_places,
    _check_key,
    _check_user,
    _check_ports,
    _check_metrics,
)
