"""``gc``: collect the guest's garbage, and say what was freed."""

import re
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import msgspec

from darlingbuilder.commands.context import Context, confirm, say_json
from darlingbuilder.core import size
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.settings import bytes_of
from darlingbuilder.steps import store
from darlingbuilder.steps.access import Access
from darlingbuilder.steps.garbage import Freed, Garbage
from darlingbuilder.steps.sharing.sharing import Sharing
from darlingbuilder.steps.sharing.way import Ways

_AGE = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"[0-9]{1,15}[KMGT]?")


class GcView(msgspec.Struct, frozen=True):
    """What ``gc --json`` prints; ``seconds``: how long it took."""

    paths: int
    bytes: int
    seconds: float


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Collect, and bring what the guest knows of the host's paths up to date."""
    settings = context.require_builder()
    store.require_builds(settings, purpose="collect")
    max_age, free = _age(arguments.max_age), _size(arguments.free)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="darlingbuilder-gc-") as scratch:
        ssh = Access(settings, context.world, Path(scratch)).ssh
        try:
            freed = Garbage(settings, context.world, ssh).collect(max_age=max_age, free=free)
        finally:
            if settings.shares_store and context.world.darling.server():
                Sharing(settings, context.world).renew(Ways(settings, context.world).in_force())
    _tell(freed, time.monotonic() - began, as_json=arguments.json)
    return ExitCode.OK


def _tell(freed: Freed, seconds: float, *, as_json: bool) -> None:
    if as_json:
        say_json(GcView(freed.paths, freed.bytes, round(seconds, 3)))
    else:
        confirm(f"{freed.paths} store paths deleted, {size.told(freed.bytes)} freed, in {seconds:.1f} s")


def _age(text: str | None) -> int | None:
    if text is None:
        return None
    found = _AGE.fullmatch(text)
    if not found:
        raise UsageError(f"--max-age {text}: no age", hint="a number with s, m, h, d or w, as in 30d")
    return int(found[1]) * _SECONDS[found[2]]


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    if not _SIZE.fullmatch(text):
        raise UsageError(f"--free {text}: no size", hint="a number of bytes, or one with K, M, G or T, as in 10G")
    return bytes_of(text)
