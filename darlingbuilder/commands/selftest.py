"""``test``: connect exactly as nix-daemon does, layer by layer, and build a derivation."""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import msgspec

from darlingbuilder.adapters.world import World
from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import probes, store
from darlingbuilder.steps.access import Access
from darlingbuilder.steps.layers import Outcome, climb
from darlingbuilder.steps.overview import tested
from darlingbuilder.verbs import as_typed


class SelftestView(msgspec.Struct, frozen=True):
    """What ``test --json`` prints; ``seconds``: all layers together."""

    passed: bool
    seconds: float
    layers: list[Outcome]


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print how each layer ended; the exit code says whether all of them passed."""
    outcomes = []
    settings = context.require_builder()
    store.require_builds(settings, purpose="test")
    for outcome in tried(settings, context.world, build=not arguments.no_build, seconds=arguments.timeout):
        outcomes.append(outcome)
        if not arguments.json:
            _print(outcome, settings.instance)
    tested.record(settings, context.world.host, outcomes, build=not arguments.no_build)
    passed = all(outcome.state == "passed" for outcome in outcomes)
    if arguments.json:
        say_json(SelftestView(passed, sum(outcome.seconds for outcome in outcomes), outcomes))
    return ExitCode.OK if passed else ExitCode.FAILED


def tried(settings: Settings, world: World, *, build: bool, seconds: float) -> Iterator[Outcome]:
    """Try every layer, the build too if ``build``, within ``seconds``; each outcome comes as soon as it is known."""
    layers = (*probes.CONNECTION, probes.BUILD) if build else probes.CONNECTION
    with tempfile.TemporaryDirectory(prefix="darlingbuilder-test-") as scratch:
        yield from climb(layers, Access(settings, world, Path(scratch)), seconds=seconds)


def _print(outcome: Outcome, instance: str) -> None:
    if outcome.state == "not run":
        say(f"  -      {outcome.layer:<8}         not run")
        return
    mark = "ok    " if outcome.state == "passed" else "FAILED"
    say(f"  {mark} {outcome.layer:<8} {outcome.seconds:5.2f} s {outcome.detail}")
    if outcome.hint:
        say(f"         {as_typed(outcome.hint, instance)}")
