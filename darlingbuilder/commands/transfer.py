"""``push`` and ``pull``: closures into the guest's store and back, by the host's Nix, without the guest."""

import time
from argparse import Namespace

import msgspec

from darlingbuilder.adapters.nixcopy import Freight
from darlingbuilder.commands import progress
from darlingbuilder.commands.context import Context, confirm, here, say_json
from darlingbuilder.core import lock, size
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.steps import store
from darlingbuilder.steps.transfer import Direction, Transfer, store_paths

_PURPOSE = {
    Direction.PUSH: "copying into the guest's store",
    Direction.PULL: "copying into the host's store",
}


class TransferView(msgspec.Struct, frozen=True):
    """What ``push --json`` and ``pull --json`` print.

    ``copied``: the paths, none before one that it refers to; ``present``: how many were there already; ``bytes``:
    of what was copied, as archives.
    """

    copied: list[str]
    present: int
    bytes: int
    seconds: float


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Copy what is missing, and say what that was."""
    settings = context.require_builder()
    direction = Direction(arguments.verb.name)
    store.require_builds(settings, purpose=direction.value)
    paths = store_paths(context.world.host, arguments.paths, here())
    began = time.monotonic()
    # Without it the store could be taken away meanwhile: by «uninstall», «reset» or «snapshot restore».
    # A build's hook may push while another does.
    with context.locked(direction.value, seconds=lock.PATIENCE):
        freight = Transfer(settings, context.world).freight(direction, paths)
        with progress.bytes_moved(_PURPOSE[direction], freight.size, quiet=arguments.quiet) as moved:
            context.world.nix.carry(freight, moved=moved)
    seconds = time.monotonic() - began
    if arguments.json:
        say_json(TransferView(list(freight.paths), len(freight.present), freight.size, seconds))
    else:
        confirm(_told(freight, seconds, shared=direction is Direction.PUSH and settings.shares_store))
    return ExitCode.OK


def _told(freight: Freight, seconds: float, *, shared: bool) -> str:
    if shared:
        return f"Nothing to copy: the guest sees this machine's store, and {len(freight.present)} path(s) in it."
    there = f"{len(freight.present)} path(s) were there already"
    if not freight.paths:
        return f"Nothing to copy: {there}."
    return f"Copied {len(freight.paths)} path(s), {size.told(freight.size)}, in {seconds:.1f} s; {there}."
