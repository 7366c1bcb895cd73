"""A machine of Nix's asked how it is, by the login that nix-daemon has there, and by nothing more."""

import re
import time
from pathlib import Path

import msgspec

from darlingbuilder.adapters import sshclient
from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.core.machines import Machine

_MARK = "darlingbuilder-top"
# One line for any shell that a login may have. A Darling guest sees the host's /proc below /Volumes/SystemRoot; macOS
# has none. No single quote in it: it stands between two.
_QUESTION = (
    f"echo {_MARK}; p=; test -r /proc/loadavg || p=/Volumes/SystemRoot; if test -r $p/proc/loadavg; "
    "then echo load $(cat $p/proc/loadavg); grep -E '^Mem(Total|Available):' $p/proc/meminfo; "
    "else echo load $(sysctl -n vm.loadavg); echo bytes $(sysctl -n hw.memsize); fi; "
    "echo processors $(getconf _NPROCESSORS_ONLN)"
).replace("'", '"')
_FIGURE = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?\Z")
_KIBIBYTE = 1024
_LOADS = 3
_LONGEST_ANSWER = 20


class Answer(msgspec.Struct, frozen=True):
    """What a login gave: ``latency`` in seconds, memory in bytes; null for what was not told.

    ``why``: what went wrong where it is not ``reachable``; where it is, why nothing more is known.
    """

    reachable: bool
    latency: float | None = None
    load: list[float] | None = None
    processors: int | None = None
    memory: int | None = None
    memory_available: int | None = None
    why: str | None = None


def ask(machine: Machine, scratch: Path, *, timeout: float) -> Answer:
    """Log in and ask, for at most ``timeout`` seconds; ``scratch``: an empty directory of ours."""
    client = sshclient.as_nix(machine, scratch)
    began = time.monotonic()
    said = client.run("sh", "-c", f"'{_QUESTION}'", timeout=timeout)
    took = round(time.monotonic() - began, 3)
    if not sshclient.logged_in(said):
        return Answer(reachable=False, why=_failure(said, timeout))
    # Over a connection that was there already, ssh runs no local command.
    return _read(said.stdout.removeprefix(f"{sshclient.STARTED}\n"), took)


def _read(answer: str, took: float) -> Answer:
    mark, *lines = answer.splitlines()[:_LONGEST_ANSWER] or [""]
    if mark != _MARK:
        return Answer(reachable=True, latency=took, why="the login answers with something else: a forced command")
    told = [line.partition(" ") for line in lines]
    figures = {name.rstrip(":"): _figures(text) for name, _, text in told}
    load = figures.get("load", [])[:_LOADS]
    return Answer(
        reachable=True,
        latency=took,
        load=load if len(load) == _LOADS else None,
        processors=_first(figures, "processors"),
        memory=_first(figures, "bytes") or _first(figures, "MemTotal", unit=_KIBIBYTE),
        memory_available=_first(figures, "MemAvailable", unit=_KIBIBYTE),
    )


def _figures(text: str) -> list[float]:
    return [float(word) for word in text.split() if _FIGURE.match(word)]


def _first(figures: dict[str, list[float]], name: str, *, unit: int = 1) -> int | None:
    found = figures.get(name)
    return int(found[0] * unit) if found else None


def _failure(said: Completed, timeout: float) -> str:
    if said.code == TIMED_OUT:
        return f"no answer within {timeout:g} s"
    lines = [line.strip() for line in said.stderr.splitlines() if line.strip()]
    return re.sub(r"[^ -~]", "?", lines[-1]) if lines else f"ssh gave {said.code}"
