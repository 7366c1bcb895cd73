"""``top``: all builders of the host's Nix at one look, refreshed in place."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.commands import screen
from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.overview import fleet
from darlingbuilder.steps.overview.asking import Answer
from darlingbuilder.steps.overview.fleet import Fleet, Own

if TYPE_CHECKING:
    from rich.console import RenderableType

_HEADER = ("BUILDER", "SYSTEMS", "SLOTS", "SPEED", "STATE", "LATENCY", "LOAD", "MEM FREE")
_GIBIBYTE = 2**30


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Show the builders; for ever on a terminal, and as lines of JSON, else once."""
    if arguments.schema:
        say_json(msgspec.json.schema(Fleet))
        return ExitCode.OK

    own = list(_own(context))

    def look() -> Fleet:
        return fleet.look(context.world, own, timeout=arguments.timeout)

    live = screen.on_terminal() and not arguments.json
    if arguments.once or not (live or arguments.json):
        _show(look(), json=arguments.json)
    elif arguments.json:
        screen.repeat(lambda: say(msgspec.json.encode(look()).decode()), seconds=arguments.interval)
    else:
        screen.refresh(lambda: screen.above(*_tables(look())), seconds=arguments.interval)
    return ExitCode.OK


def _own(context: Context) -> Iterator[Own]:
    """Give the builders of this host, the one that is meant and the others."""
    settings, world = context.settings, context.world
    yield Own(settings.names.alias, _private_port(settings) if context.marker else None, _is_up(world))
    for other in neighbours.others(world.host, settings.instance):
        yield Own(other.names.alias, _private_port(other), _is_up(context.worlds(other)))


def _private_port(settings: Settings) -> int | None:
    return settings.private_port if settings.on_demand else None


def _is_up(world: World) -> Callable[[], bool]:
    return lambda: world.darling.server() is not None


def _show(seen: Fleet, *, json: bool) -> None:
    if json:
        say_json(seen)
    elif screen.on_terminal():
        screen.draw(*_tables(seen))
    else:
        say("\n".join([*screen.columns([_HEADER, *_rows(seen)]), *(": ".join(row) for row in _reasons(seen))]))


def _tables(seen: Fleet) -> list["RenderableType"]:
    # A terminal is narrow: the systems stand below the name.
    rows = [(f"{uri}\n  {systems}", *figures) for uri, systems, *figures in _rows(seen)]
    return [screen.table(rows, header=_HEADER[:1] + _HEADER[2:]), "", screen.table(_reasons(seen))]


def _rows(seen: Fleet) -> Iterator[tuple[str, ...]]:
    for builder in seen.builders:
        slots = "-" if builder.slots.max is None else f"{builder.slots.used}/{builder.slots.max}"
        speed = "-" if builder.speed is None else f"{builder.speed:g}"
        yield (builder.uri, ",".join(builder.systems) or "-", slots, speed, *_told(builder.answer))


def _reasons(seen: Fleet) -> Iterator[tuple[str, str]]:
    """Say why something is not known: it would not fit beside the figures."""
    for builder in seen.builders:
        if why := builder.why_not or (builder.answer.why if builder.answer else None):
            yield builder.uri, why
    for error in seen.errors:
        yield error.part, f"{error.message} ({error.hint})"


def _told(answer: Answer | None) -> tuple[str, ...]:
    if answer is None:
        return ("skipped", "-", "-", "-")
    if not answer.reachable:
        return ("down", "-", "-", "-")
    return ("up", f"{answer.latency:.2f} s", _load(answer), _memory(answer))


def _load(answer: Answer) -> str:
    if answer.load is None:
        return "-"
    return f"{answer.load[0]:.2f}{f'/{answer.processors}' if answer.processors else ''}"


def _memory(answer: Answer) -> str:
    if answer.memory is None:
        return "-"
    free = "?" if answer.memory_available is None else f"{answer.memory_available / _GIBIBYTE:.1f}"
    return f"{free}/{answer.memory / _GIBIBYTE:.1f}G"
